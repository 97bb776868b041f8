"""The conformance suite of each port: subclass the one of your port, say how your adapter is made, and run pytest."""
