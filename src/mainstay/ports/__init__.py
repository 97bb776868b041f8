"""One small contract per need of the kernel and of a team's code."""
