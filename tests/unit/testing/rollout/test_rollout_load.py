"""The load counts what fails, and rows that one version wrote and the other does not give."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from contracts import contract_bytes
from msgspec import json

from mainstay import Entity, Module, Service, anyone, field
from mainstay.testing.rollout.contract import Contract
from mainstay.testing.rollout.known import Known
from mainstay.testing.rollout.load import Load, Served, read_across
from mainstay.testing.rollout.requests import Asking
from mainstay.testing.rollout.wire import Wire

desk = Module("desk")


class Note(Entity):
    text: str = field(max_length=40)


desk.resource(Note, path="/notes", read=anyone, create=anyone, update=anyone, delete=anyone)
CONTRACT = contract_bytes(Service("desk", modules=[desk]))
AT = "2026-01-01T00:00:00Z"
SECONDS = 0.6
RATE = 200.0


class Version:
    """A server of notes. ``blind``: it gives none that it has not made itself; ``broken``: every answer is that."""

    def __init__(self, rows: dict[str, Any], *, blind: bool = False, broken: bytes = b"") -> None:
        self.rows = rows
        self.own: set[str] = set()
        self.blind = blind
        self.broken = broken
        self.asked = 0
        self.tasks: list[asyncio.Task[Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks += [task] if (task := asyncio.current_task()) else []
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.partition("Content-Length: ")[2].partition("\r")[0] or 0)
                body = await reader.readexactly(length)
                self.asked += 1
                method, target, _ = head.split(" ", 2)
                status, told = self.answer(method, target.partition("?")[0], body)
                raw = json.encode(told) if status != 204 else b""
                kind = b"problem+json" if status >= 400 else b"json"
                lines = b"HTTP/1.1 %d X\r\nContent-Type: application/%b\r\nContent-Length: %d\r\n\r\n"
                writer.write(self.broken or lines % (status, kind, len(raw)) + raw)
        except (EOFError, OSError):
            writer.transport.abort()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        id_ = path.removeprefix("/notes").strip("/")
        if method == "POST":
            id_ = f"0199c0de-0000-7000-8000-{len(self.rows):012}"
            self.rows[id_] = {"id": id_, "version": 1, "created_at": AT, "updated_at": AT, **json.decode(body)}
            self.own.add(id_)
            return 201, self.rows[id_]
        if not id_:
            return 200, {"items": list(self.rows.values())[-5:]}
        if id_ not in self.rows or (self.blind and id_ not in self.own):
            return 404, {"title": "x", "status": 404, "code": "not_found"}
        if method == "DELETE":
            del self.rows[id_]
            return 204, None
        if method == "PATCH":
            self.rows[id_] |= json.decode(body)
        return 200, self.rows[id_]


@asynccontextmanager
async def serving(load: Load, known: Known, name: str, version: Version) -> AsyncIterator[Served]:
    async with await asyncio.start_server(version.serve, "127.0.0.1", 0) as listening:
        contract, wire = Contract(CONTRACT), Wire(listening.sockets[0].getsockname()[1])
        served = Served(name, wire, contract, Asking(contract, known, {"ann": "t", "bob": "t"}, random.Random(4)))
        try:
            yield load.meet(served)
        finally:
            wire.close()
            if version.tasks:
                await asyncio.wait(version.tasks)
            await asyncio.sleep(0)  # for the transports to be gone


@pytest.fixture
def known() -> Known:
    return Known(random.Random(1))


@pytest.fixture
def load(known: Known) -> Load:
    return Load(known, RATE, random.Random(2))


async def run(load: Load, *served: Served) -> dict[str, Any]:
    step = load.begin("step")
    load.serving.extend(served)
    load.start()
    await load.watch(SECONDS)
    await load.stop()
    return step.told()


async def test_a_load_asks_all_versions_at_its_rate_and_nothing_fails(load: Load, known: Known) -> None:
    rows: dict[str, Any] = {}
    old, new = Version(rows), Version(rows)
    async with serving(load, known, "old", old) as one, serving(load, known, "new", new) as other:
        told = await run(load, one, other)
        assert told["failed"] == 0, told
        assert told["requests"] == old.asked + new.asked
        assert SECONDS * RATE / 3 < told["requests"] < SECONDS * RATE * 1.6
        assert min(old.asked, new.asked) > 10
        assert {"200", "201"} <= told["statuses"].keys()
        assert load.done["create_note"] > 3
        load.begin("across")
        across = await read_across(load, known, one, other, 20)
        assert min(across.values()) > 1
        assert load.steps[-1].failed == 0


async def test_one_version_is_left_with_nothing_under_way(load: Load, known: Known) -> None:
    rows: dict[str, Any] = {}
    old, new = Version(rows), Version(rows)
    async with serving(load, known, "old", old) as one, serving(load, known, "new", new) as other:
        load.begin("both")
        load.serving.extend([one, other])
        load.start()
        await load.watch(0.2)
        await load.leave(one)
        asked = old.asked
        load.begin("one")
        await load.watch(0.3)
        await load.stop()
        assert old.asked == asked
        assert load.steps[-1].requests > 10
        assert sum(step.failed for step in load.steps) == 0


async def test_rows_that_the_other_version_does_not_give_are_failures(load: Load, known: Known) -> None:
    rows: dict[str, Any] = {}
    old, new = Version(rows), Version(rows, blind=True)
    async with serving(load, known, "old", old) as one, serving(load, known, "new", new) as other:
        await run(load, one, other)
        step = load.begin("across")
        across = await read_across(load, known, one, other, 20)
        assert across["new_read_by_old"] > 0
        assert step.failed > 0
        assert "which old wrote and gives" in step.examples[0]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "503"),
        (b"HTTP/1.1 418 X\r\nContent-Length: 0\r\n\r\n", "418, which its contract does not name"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull", "its contract"),
        (b"nonsense\r\n\r\n", "no HTTP"),
    ],
)
async def test_what_is_no_answer_of_the_contract_is_a_failure(
    load: Load, known: Known, broken: bytes, said: str
) -> None:
    async with serving(load, known, "old", Version({}, broken=broken)) as one:
        told = await run(load, one)
        assert told["failed"] == told["requests"] > 20
        assert len(told["examples"]) == 5
        assert all(said in example and example.startswith("old: ") for example in told["examples"])
        assert load.done.total() == 0
