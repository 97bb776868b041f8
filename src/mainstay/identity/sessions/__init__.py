"""Sessions: what an account is logged in by, and what is signed in its name."""
