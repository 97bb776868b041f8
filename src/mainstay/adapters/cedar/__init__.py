"""Policies in Cedar (https://docs.cedarpolicy.com), translated at start-up into policies of ours, or refused there."""
