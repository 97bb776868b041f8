"""Calls to the outside over HTTP, guarded against being aimed at what is inside (SSRF)."""
