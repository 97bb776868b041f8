"""A small shop: what a real team could start from."""
