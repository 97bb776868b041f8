"""The life of a WSGI application: its threads begin with the first requests, and end with it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from mainstay.inbound.http.wsgi import WsgiApp
from mainstay.model.problem import Unavailable

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [],
    "root_path": "",
    "scheme": "http",
    "http_version": "1.1",
    "server": ("h", 1),
    "client": ("c", 1),
}


def answer(_: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", [])
    return [b"x"]


async def body() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_behind_its_end_no_thread_is_begun_and_a_new_start_takes_requests_again() -> None:
    app = WsgiApp(answer)
    told: list[str] = []

    async def send(message: Any) -> None:
        told.append(message["type"])

    async def body() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "root_path": ""}
        await app(
            {**scope, "scheme": "http", "http_version": "1.1", "server": ("h", 1), "client": ("c", 1)}, body, send
        )

    async def live() -> None:
        """Start, ask once and stop."""
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            message = next(messages)
            if message == "lifespan.shutdown":
                await ask()
            return {"type": message}

        await app({"type": "lifespan"}, receive, send)

    for _ in range(2):
        await live()
        with pytest.raises(Unavailable):
            await ask()
    assert told.count("http.response.start") == 2
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("mainstay-wsgi") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
