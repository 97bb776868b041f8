"""Doors for people and assistants: the commands of `mainstay`."""
