"""What outlives a call: outbox, inbox, jobs."""
