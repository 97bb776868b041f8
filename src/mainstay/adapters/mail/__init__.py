"""Letters: to a terminal in development, to memory in tests, by SMTP in production."""
