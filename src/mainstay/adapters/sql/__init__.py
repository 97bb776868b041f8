"""Ports served by SQL databases."""
