"""Ports served by outside systems and by memory: one package per system, one file per port."""
