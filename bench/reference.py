"""A piece of work that never changes, of the kind that a server of ours does: the unit in which the gate counts.

Python builds differ (version, compiler, profile-guided or not), and so does what one bytecode costs. This mixes plain
Python with the same compiled parts that a request passes through, so that its cost moves with the build as a request's
does. Whoever changes it makes every committed baseline worthless: write them anew in the same commit.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

_BODY = b'{"name":"somebody","age":36,"tags":["first","second"],"parts":[{"sku":"A","n":1},{"sku":"B"}]}'
_REQUEST = (
    b"POST /some/things?limit=50 HTTP/1.1\r\nHost: 127.0.0.1:9100\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJlLW9mLW5vYm9keQ\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class _Sink:
    """Takes what the parser finds."""

    __slots__ = ("body", "done", "headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.done = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


def make() -> Callable[[], bytes]:
    """Return the work: one call of it is one unit."""
    import httptools
    import msgspec

    decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode
    stages = tuple(_stage(number) for number in range(24))

    def work() -> bytes:
        sink = _Sink()
        parser = httptools.HttpRequestParser(sink)
        parser.feed_data(_REQUEST)
        body = decode(sink.body)
        call: dict[str, Any] = {"path": httptools.parse_url(sink.url).path.decode(), "seen": 0}
        for stage in stages:
            stage(call, sink.headers)
        body["mark"] = hmac.new(b"key", sink.headers[b"authorization"], hashlib.sha256).hexdigest()[:8]
        head = f"HTTP/1.1 200 OK\r\nX-Seen: {call['seen']}\r\nX-Path: {call['path']}\r\n\r\n"
        return head.encode() + encode(body)

    return work


def _stage(number: int) -> Callable[[dict[str, Any], dict[bytes, bytes]], None]:
    name = f"x-{number}".encode()

    def stage(call: dict[str, Any], headers: dict[bytes, bytes]) -> None:
        try:
            value = headers[name]
        except KeyError:
            value = None
        if value is None and number % 3:
            call["seen"] += number
        elif isinstance(call["path"], str):
            call["last"] = number

    return stage
