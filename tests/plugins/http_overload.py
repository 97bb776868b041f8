"""What the tests of overloads say to a service, and how they wait for what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from http_clients import Answered, Served

Serve = Callable[..., Served]

SLOW = b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n"
GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
USUAL = b"GET /hello HTTP/1.1\r\nHost: t\r\nOrigin: https://t.example\r\n\r\n"  # no turnstile answers this
POST = b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 12\r\n"
BODY = b'{"name":"a"}'
COMMAND = POST + b"\r\n" + BODY


def eventually(check: Callable[[], Any], seconds: float = 4.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.005)


def said(served: Served, data: bytes, method: str = "GET") -> Answered:
    wire = served.wire()
    wire.say(data)
    return wire.hear(method)
