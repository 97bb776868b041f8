"""Ports served by memory: real, tested, and the default of tests."""
