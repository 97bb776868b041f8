"""Protocols: each turns what it receives into a Call, and a Reply into what it sends."""
