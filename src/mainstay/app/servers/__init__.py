"""The HTTP servers that a service may be run by: each serves the same door on a socket that it is handed."""
