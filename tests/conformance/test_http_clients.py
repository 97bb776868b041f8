"""Every HTTP client does what the port says: the one that calls, and the table that stands in for others in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from answering_server import Asked, answering, reply

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.outgoing.allowances import allowances
from mainstay.adapters.outgoing.client import GuardedHttp
from mainstay.adapters.outgoing.guard import Guard
from mainstay.ports.http import HttpAnswer, HttpFailed
from mainstay.ports.http_exchange import HttpRequest
from mainstay.testing import MemoryHttp, Recorder
from mainstay.testing.conformance.http import Answering, HttpConformance, OtherSide, Seen


class TestGuardedHttp(HttpConformance):
    @asynccontextmanager
    async def make(self, answering_by: Answering) -> AsyncIterator[OtherSide]:
        seen: list[Seen] = []

        def answer(asked: Asked) -> bytes:
            seen.append(Seen(asked.method, asked.target, asked.headers, asked.body))
            made = answering_by(seen[-1])
            return reply(made.body, made.status, **{name.replace("-", "_"): v for name, v in made.headers.items()})

        guard = Guard(allowances(["127.0.0.1"]))
        client = GuardedHttp(guard, SystemClock(), Recorder())
        async with answering(answer) as one, answering(answer) as two:
            yield OtherSide(client, f"http://127.0.0.1:{one.port}", f"http://127.0.0.1:{two.port}", seen)
            await client.aclose()


class TestMemoryHttp(HttpConformance):
    @asynccontextmanager
    async def make(self, answering_by: Answering) -> AsyncIterator[OtherSide]:
        seen: list[Seen] = []

        def answer(request: HttpRequest) -> HttpAnswer:
            seen.append(Seen(request.method, request.target.path, request.headers, request.body))
            return answering_by(seen[-1])

        paths = ("/", "/a", "/to", "/long", "/missing", "/end", "/x")
        rows = [f"{method} {origin}{path}" for method in ("GET", "POST") for origin in ORIGINS for path in paths]
        yield OtherSide(MemoryHttp(dict.fromkeys(rows, answer)), *ORIGINS, seen)


ORIGINS = ("http://one.example", "http://two.example:8080")


async def test_a_table_answers_with_what_stands_in_it() -> None:
    http = MemoryHttp(
        {
            "GET https://a.example/x": HttpAnswer(status=200, body=b"any"),
            "GET https://a.example/x?q=1": HttpAnswer(status=200, body=b"one"),
            "GET https://down.example/": HttpFailed("it is down"),
        }
    )
    assert (await http.request("GET", "https://a.example/x?q=2")).body == b"any"
    assert (await http.request("GET", "https://a.example/x?q=1")).body == b"one"
    with pytest.raises(HttpFailed, match="it is down"):
        await http.request("GET", "https://down.example/")
    with pytest.raises(LookupError, match=r"not POST https://a\.example/x"):
        await http.request("POST", "https://a.example/x")
    assert [request.target.path for request in http.requests] == ["/x?q=2", "/x?q=1", "/", "/x"]
    with pytest.raises(LookupError, match="answers nothing"):
        await MemoryHttp().request("GET", "https://a.example/")
