"""One file a command: ``configure`` declares its arguments, ``execute`` does it and returns the exit code."""
