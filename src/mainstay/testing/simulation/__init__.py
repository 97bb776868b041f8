"""A deterministic simulation: processes, a database, a broker and the net between them in one thread, by a seed."""
