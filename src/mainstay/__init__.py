"""A backend engineer you can install."""
