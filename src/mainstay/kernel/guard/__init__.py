"""What stands before a use case: limits, policies, idempotency."""
