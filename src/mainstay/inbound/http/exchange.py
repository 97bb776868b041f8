"""One request and what becomes of it, on its way through the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from mainstay.inbound.http.body import Inflow
from mainstay.kernel.call import Call


class Answer(msgspec.Struct):
    """What is sent: a status, header lines (each ended by CRLF, those of framing left out) and a body in one form.

    ``stream`` has an unknown length; ``path`` is a file to send. A HEAD is answered with the length and no body.
    """

    status: int
    head: bytes
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    path: Path | None = None


class Exchange:
    """A request's head, its body as it arrives, and its call or its answer.

    ``common`` are the header lines that every answer to it carries; ``root`` is the path that the door is mounted at;
    ``target`` is what the route leads to.
    """

    __slots__ = (
        "answer",
        "call",
        "closing",
        "common",
        "direct",
        "expects",
        "headers",
        "http10",
        "inflow",
        "method",
        "path",
        "peer",
        "request_id",
        "root",
        "target",
    )

    def __init__(self, method: bytes, headers: dict[bytes, bytes], peer: str, root: str) -> None:
        self.method = method
        self.headers = headers
        self.peer = peer  # as limits count it
        self.root = root
        self.path = b""
        self.request_id = ""
        self.common = b""
        self.target: Any = None
        self.call: Call | None = None
        self.answer: Answer | None = None
        self.inflow: Inflow | None = None
        self.expects = False  # the client waits for 100 before it sends the body
        self.direct = False  # the body is the call's as it stands: no reading between
        self.closing = False  # the connection ends with this exchange
        self.http10 = False

    def header(self, name: str) -> str | None:
        """Return a header field by its lower-case name."""
        value = self.headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")
