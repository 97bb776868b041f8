"""Header lines of answers."""

from __future__ import annotations


def line(name: str, value: str) -> bytes:
    """Return one header line. Raises ``ValueError`` where the value would end it early."""
    encoded = f"{name}: {value}".encode("latin-1")
    if b"\r" in encoded or b"\n" in encoded or b"\0" in encoded:
        raise ValueError(f"header {name}: its value has a line break")
    return encoded + b"\r\n"
