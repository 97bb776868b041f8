"""One request and what becomes of it, on its way through the door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.segments import Segments
from mainstay.kernel.call import Call


class Answer(msgspec.Struct, gc=False):
    """What is sent: a status, header lines (each ended by CRLF, those of framing left out) and a body in one form.

    ``stream`` has a ``length`` where that is known; ``segments`` are bytes and spans of files. One that is
    known only when its file was opened is what ``later`` makes, and is no other answer until then. A HEAD is answered
    with the length and no body.
    """

    status: int
    head: bytes
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    length: int | None = None
    segments: Segments | None = None
    later: Callable[[], Awaitable[Answer]] | None = None

    @property
    def parted(self) -> bool:
        """Whether the body is sent in parts."""
        return self.stream is not None or self.segments is not None or self.later is not None


def field_of(headers: Mapping[bytes, bytes], name: str) -> str | None:
    """Return a header field by its lower-case name."""
    value = headers.get(name.encode("latin-1"))
    return None if value is None else value.strip(b" \t").decode("latin-1")


class Exchange(msgspec.Struct, eq=False):
    """A request's head, its body as it arrives, and its call or its answer.

    ``common`` are the header lines that every answer to it carries; ``root`` is the path that the door is mounted at;
    ``target`` is what the route leads to. ``address``, ``secure`` and ``authority`` are the client's, as the connection
    or a listed proxy says: its address, whether it spoke TLS, and the host that it called (None: as its head says).
    """

    method: bytes
    headers: dict[bytes, bytes]
    peer: str  # as limits count it
    request_id: str
    common: bytes
    path: bytes = b""
    root: str = ""
    target: Any = None
    call: Call | None = None
    answer: Answer | None = None
    inflow: Inflow | None = None
    direct: bool = False  # the body is the call's as it stands: no reading between
    expects: bool = False  # the client waits for 100 before it sends the body
    closing: bool = False  # the connection ends with this exchange
    http10: bool = False
    address: str = ""
    secure: bool = False
    authority: str | None = None


def may_cancel(exchange: Exchange) -> bool:
    """Whether nothing is lost with an exchange: it reads, or it already is being answered."""
    return exchange.call is None or exchange.target.query
