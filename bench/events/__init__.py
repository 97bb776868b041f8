"""The bench of events: from the commit of a row and its event to the effect in the database of another service."""
