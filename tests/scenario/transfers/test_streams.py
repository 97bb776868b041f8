"""Streams: lines and events, taken up again, broken off, waited for, left, and ended with the service."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest

from mainstay import (
    Conflict,
    Dto,
    Entity,
    Module,
    Repository,
    Service,
    Stream,
    UnitOfWork,
    anyone,
    gt,
    resume_after,
)
from mainstay.inbound.http.streaming import EVENTS, NDJSON


class Tick(Dto):
    number: int
    text: str = ""


class Stuck(Conflict):
    """The clock stands still."""


class Source:
    """What a test decides of the streams, and sees of them."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0
        self.gate = threading.Event()
        self.fault: Exception | None = None

    async def ticks(self, after: int, until: int, size: int) -> AsyncIterator[Tick]:
        try:
            for number in range(after + 1, until + 1):
                self.made += 1
                yield Tick(number=number, text="x" * size)
            if self.fault is not None:
                raise self.fault
        finally:
            self.closed += 1

    async def feed(self, after: int) -> AsyncIterator[Tick]:
        try:
            for number in range(after + 1, after + 3):
                yield Tick(number=number)
            while not self.gate.is_set():
                await asyncio.sleep(0.005)
            yield Tick(number=after + 3)
            await asyncio.sleep(3600)
        finally:
            self.closed += 1

    def service(self) -> Service:
        module = Module("clock")

        @module.query("GET /ticks", allow=anyone)
        async def ticks(
            until: int = 3, size: int = 0, after: Annotated[int | None, resume_after("number")] = None
        ) -> Stream[Tick]:
            return Stream(self.ticks(after or 0, until, size))

        @module.query("GET /generated", allow=anyone)
        async def generated(until: int = 3) -> AsyncIterator[Tick]:
            async for tick in self.ticks(0, until, 0):
                yield tick

        @module.query("GET /feed", allow=anyone, deadline=0.05)
        async def feed(after: Annotated[int | None, resume_after("number")] = None) -> AsyncIterator[Tick]:
            async for tick in self.feed(after or 0):
                yield tick

        return Service("clock", modules=[module])


@pytest.fixture
def source() -> Source:
    return Source()


def numbers(body: bytes) -> list[int]:
    return [json.loads(line)["number"] for line in body.splitlines()]


def events(body: bytes) -> list[dict[str, str]]:
    """Read events as a browser does (HTML, section 9.2.6)."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append(fields)
    return found


def eventually(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not told():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)


@pytest.mark.parametrize("path", ["/ticks", "/generated"])
def test_lines_are_what_is_given_unless_events_are_wanted(serve: Any, source: Source, path: str) -> None:
    door = serve(source.service())
    for accept in ({}, {"Accept": "*/*"}, {"Accept": NDJSON}, {"Accept": f"{EVENTS};q=0.1, {NDJSON}"}):
        got = door.ask("GET", path, accept)
        assert (got["Content-Type"], numbers(got.body)) == (NDJSON, [1, 2, 3])
        assert got["Cache-Control"] == "no-store"
        assert "Accept" in got.all("Vary")
    assert door.ask("GET", path, {"Accept": "application/json"}).status == 406
    assert source.closed == 4


def test_events_have_ids_and_an_end(serve: Any, source: Source) -> None:
    got = serve(source.service(), retry_seconds=1.5).ask("GET", "/ticks", {"Accept": EVENTS})
    assert got["Content-Type"] == EVENTS
    assert got["X-Accel-Buffering"] == "no"
    assert got.body.startswith(b"retry: 1500\n\n")
    *ticks, end = events(got.body)
    assert [(one["id"], json.loads(one["data"])["number"]) for one in ticks] == [("1", 1), ("2", 2), ("3", 3)]
    assert end == {"event": "end", "data": "{}"}


def test_items_without_a_place_to_go_on_from_have_no_id(serve: Any, source: Source) -> None:
    got = serve(source.service()).ask("GET", "/generated", {"Accept": EVENTS})
    assert all("id" not in one for one in events(got.body))


@pytest.mark.parametrize(
    ("target", "fields", "expected"),
    [
        ("/ticks?until=5&after=3", {}, [4, 5]),
        ("/ticks?until=5", {"Last-Event-ID": "3"}, [4, 5]),
        ("/ticks?until=5&after=1", {"Last-Event-ID": "4"}, [5]),
        ("/ticks?until=5", {"Last-Event-ID": ""}, [1, 2, 3, 4, 5]),
        ("/ticks?until=5", {"Last-Event-ID": "5"}, []),
    ],
)
def test_a_stream_is_taken_up_again(
    serve: Any, source: Source, target: str, fields: dict[str, str], expected: list[int]
) -> None:
    door = serve(source.service())
    assert numbers(door.ask("GET", target, fields).body) == expected
    heard = events(door.ask("GET", target, {**fields, "Accept": EVENTS}).body)
    assert [int(one["id"]) for one in heard if "id" in one] == expected


def test_a_place_that_is_none_is_refused(serve: Any, source: Source) -> None:
    door = serve(source.service())
    for target, fields in (("/ticks?after=x", {}), ("/ticks", {"Last-Event-ID": "1.5"}), ("/ticks?before=1", {})):
        assert door.ask("GET", target, fields).status == 400
    assert source.made == 0


@pytest.mark.parametrize("accept", [NDJSON, EVENTS])
@pytest.mark.parametrize("ours", [False, True])
def test_a_stream_that_breaks_says_so_and_is_cut(listen: Any, source: Source, accept: str, ours: bool) -> None:
    source.fault = RuntimeError("the secret detail") if ours else Stuck("it is noon for ever")
    door = listen(source.service())
    wire = door.wire()
    wire.say(f"GET /ticks HTTP/1.1\r\nHost: t\r\nAccept: {accept}\r\n\r\n".encode())
    said = wire.rest()
    assert not said.endswith(b"0\r\n\r\n"), "it must not be taken for whole"
    if accept == EVENTS:
        assert b"event: problem\ndata: {" in said
    last = json.loads(said[said.rindex(b'{"type"') : said.rindex(b"}") + 1])
    assert last["code"] == ("internal_error" if ours else "stuck")
    assert b"secret" not in said
    assert said.count(b'"number":') == 3
    eventually(lambda: source.closed == 1)
    told = [one for one in door.sample.client.recorder.notices if one.event == "stream_broken"]
    assert len(told) == (1 if ours else 0)


def test_nothing_is_made_that_the_client_does_not_take(listen: Any, source: Source) -> None:
    door = listen(source.service(), write_timeout=60)
    wire = door.wire()
    wire.say(b"GET /ticks?until=100000&size=10000 HTTP/1.1\r\nHost: t\r\n\r\n")
    seen = -1
    while seen != source.made or not seen:
        seen = source.made
        time.sleep(0.1)
    assert seen < 5000, "about what the sockets of both sides hold"
    for _ in range(200):
        wire.socket.recv(1 << 20)
    eventually(lambda: source.made > seen)
    wire.close()
    eventually(lambda: source.closed == 1)


@pytest.mark.parametrize("accept", [NDJSON, EVENTS])
def test_a_client_that_leaves_ends_its_stream(listen: Any, source: Source, accept: str) -> None:
    wire = listen(source.service()).wire()
    wire.say(f"GET /feed HTTP/1.1\r\nHost: t\r\nAccept: {accept}\r\n\r\n".encode())
    assert wire.count(b'"number":', 2)
    wire.close()
    eventually(lambda: source.closed == 1)


def test_a_quiet_stream_of_events_gives_signs_of_life_and_outlives_the_deadline_of_calls(
    listen: Any, source: Source
) -> None:
    wire = listen(source.service(), heartbeat_seconds=0.05).wire()
    wire.say(f"GET /feed HTTP/1.1\r\nHost: t\r\nAccept: {EVENTS}\r\n\r\n".encode())
    assert wire.count(b"\n:\n\n", 3)
    source.gate.set()
    assert wire.count(b"id: 3\n", 1)


@pytest.mark.parametrize("bound", ["stream_seconds", "stream_idle_seconds"])
def test_a_stream_has_bounds_of_its_own(listen: Any, source: Source, bound: str) -> None:
    door = listen(source.service(), **{bound: 0.2})
    wire = door.wire()
    wire.say(b"GET /feed HTTP/1.1\r\nHost: t\r\n\r\n")
    said = wire.rest()
    assert b'"code":"deadline_exceeded"' in said
    assert not said.endswith(b"0\r\n\r\n")
    got = door.ask("GET", "/feed", {"Accept": EVENTS})
    assert [one.get("id") for one in events(got.body)] == ["1", "2"], "closed in good order, without an end"
    eventually(lambda: source.closed == 2)


def test_a_service_that_leaves_ends_its_streams(listen: Any, source: Source) -> None:
    door = listen(source.service(), drain_timeout=2.0)
    heard, read = door.wire(), door.wire()
    heard.say(f"GET /feed HTTP/1.1\r\nHost: t\r\nAccept: {EVENTS}\r\n\r\n".encode())
    read.say(b"GET /feed HTTP/1.1\r\nHost: t\r\n\r\n")
    assert heard.count(b"id: 2\n", 1)
    assert read.count(b'"number":2', 1)
    begun = time.monotonic()
    door.begin_stop()
    assert heard.count(b"0\r\n\r\n", 1), "in good order: it comes back"
    assert time.monotonic() - begun < 1.0, "at once"
    said = read.rest()
    assert b'"code":"unavailable"' in said
    assert not said.endswith(b"0\r\n\r\n")
    assert door.stop() is True
    assert source.closed == 2


def test_lines_that_can_be_ended_in_time_are(listen: Any, source: Source) -> None:
    door = listen(source.service(), drain_timeout=5.0)
    wire = door.wire()
    wire.say(b"GET /ticks?until=3000&size=10000 HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: source.made > 0)
    door.begin_stop()
    assert wire.count(b"\r\n0\r\n\r\n", 1)
    assert source.made == 3000


class Entry(Entity):
    number: int


def test_a_feed_sees_what_is_committed_while_it_goes_on(listen: Any) -> None:
    ledger = Module("ledger")

    @ledger.command("POST /entries", allow=anyone, status=201)
    async def add(number: int, entries: Repository[Entry]) -> Entry:
        return await entries.add(Entry(number=number))

    @ledger.query("GET /feed", allow=anyone)
    async def follow(
        entries: Repository[Entry], work: UnitOfWork, after: Annotated[int | None, resume_after("number")] = None
    ) -> AsyncIterator[Entry]:
        while True:
            async for entry in entries.stream(number=gt(after or 0), sort="number"):
                after = entry.number
                yield entry
            await work.refresh()
            await asyncio.sleep(0.01)

    door = listen(Service("ledger", modules=[ledger]))

    def add_one(number: int) -> None:
        body = json.dumps({"number": number}).encode()
        assert door.ask("POST", "/entries", {"Content-Type": "application/json"}, body).status == 201

    for number in (1, 2):
        add_one(number)
    wire = door.wire()
    wire.say(f"GET /feed HTTP/1.1\r\nHost: t\r\nAccept: {EVENTS}\r\nLast-Event-ID: 1\r\n\r\n".encode())
    assert wire.count(b"id: 2\n", 1)
    for number in (3, 4):
        add_one(number)
        assert wire.count(b"id: %d\n" % number, 1)


def test_head_begins_no_stream(serve: Any, source: Source) -> None:
    got = serve(source.service()).ask("HEAD", "/ticks")
    assert (got.status, got.body, source.made) == (200, b"", 0)


def test_a_stream_to_an_old_client_ends_with_its_connection(listen: Any, source: Source) -> None:
    wire = listen(source.service()).wire()
    wire.say(b"GET /ticks HTTP/1.0\r\n\r\n")
    assert numbers(wire.hear().body) == [1, 2, 3]


def test_a_stream_is_tested_by_calling_it(source: Source) -> None:
    service = source.service()
    generated = next(one.function for one in service.modules[0].operations if one.name == "feed")

    async def first() -> list[int]:
        found = []
        async for tick in generated(after=7):
            found.append(tick.number)
            if len(found) == 2:
                break
        return found

    assert asyncio.run(first()) == [8, 9]
