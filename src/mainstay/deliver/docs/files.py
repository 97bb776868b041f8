"""What the pages are made of: files, and text that is text in them."""

from __future__ import annotations

import msgspec


class DocsFile(msgspec.Struct, frozen=True):
    """One file: where it is served, its bytes, its media type, and the headers that go with it."""

    path: str
    body: bytes
    media_type: str
    headers: tuple[tuple[str, str], ...] = ()


def escaped(text: str) -> str:
    """Return a text as it stands in a tag and between two: the ``html`` package would bring two thousand names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
