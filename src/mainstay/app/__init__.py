"""Assembly, and the only place of it: settings, adapters by name, a running service."""
