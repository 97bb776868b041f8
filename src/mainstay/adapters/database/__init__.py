"""A database as a broker: rows of its own, through any store."""
