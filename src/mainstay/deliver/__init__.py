"""A service to files for other tools, always from the running model."""
