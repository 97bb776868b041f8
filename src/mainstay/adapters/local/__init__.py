"""Ports served by the machine itself: clock, ids, entropy."""
