"""Header lines of answers."""

from __future__ import annotations

import re

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_FRAMING = frozenset(
    {"connection", "content-length", "date", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


def line(name: str, value: str) -> bytes:
    """Return one header line.

    Raises ``ValueError`` where the name is none, where the value would end the line early or has another control
    character (RFC 9110, section 5.5), and for a field that says where the answer ends: the server writes those itself.
    """
    if name.lower() in _FRAMING:
        raise ValueError(f"header {name}: the server writes it itself")
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"header {name[:40]!r}: it is no name of a header")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"header {name}: its value has a line break, or a character that no header may have")
    return f"{name}: {value}\r\n".encode("latin-1")
