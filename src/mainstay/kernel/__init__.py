"""The way of a call: stages, dispatch, reply."""
