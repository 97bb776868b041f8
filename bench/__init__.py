"""Benches: the user's own command in the production profile, against peers that do the same work."""
