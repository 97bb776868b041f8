"""Who has written lately reads what is current: commands are noted, queries ask, and nothing is where no replica is."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from kernel_world import ANN, BOB, Build

from mainstay import Conflict, Entity, Module, Principal, Repository, anyone, field
from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.call import Reply
from mainstay.model.problem import CommitUnknown, Problem
from mainstay.ports.recent_writes import RecentWrites

module = Module("m")


class Row(Entity):
    name: str = field(max_length=40)


class Refused(Conflict):
    """It was refused before anything could be committed."""


@module.command("POST /rows", status=201, allow=anyone)
async def add(rows: Repository[Row]) -> Row:
    return await rows.add(Row(name="a"))


@module.command("POST /refused", allow=anyone, raises=[Refused])
async def refuse(rows: Repository[Row]) -> int:
    await rows.count()
    raise Refused


@module.query("GET /rows", allow=anyone)
async def count(rows: Repository[Row]) -> int:
    return await rows.count()


class Noted(RecentWrites):
    """Keeps who was noted; all have written at a moment that the test decides."""

    def __init__(self) -> None:
        self.noted: list[Principal] = []
        self.at = -1.0

    def note(self, who: Principal) -> None:
        self.noted.append(who)

    def last(self, who: Principal) -> float:
        return self.at if who in self.noted else -1.0


class Lagging(MemoryStore):
    """Tells how far its replica is, and keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.has = 5.0
        self.asked: list[bool] = []

    def current(self) -> float:
        return self.has

    def begin(self, *, write: bool, latest: bool = False, **more: Any) -> Any:
        if not write:
            self.asked.append(latest)
        return super().begin(write=write, latest=latest, **more)


@pytest.fixture
def recent() -> Noted:
    return Noted()


async def test_who_wrote_after_what_the_replica_has_asks_for_the_latest(build: Build, recent: Noted) -> None:
    store = Lagging()
    world = await build(module, recent=recent, store=store)
    assert isinstance(await world.send("add", principal=ANN), Reply)
    assert recent.noted == [ANN]
    for at, who, latest in [(5.0, ANN, True), (4.9, ANN, False), (5.0, BOB, False)]:
        recent.at = at
        await world.send("count", principal=who)
        assert store.asked.pop() is latest


async def test_what_was_surely_not_committed_is_not_noted(build: Build, recent: Noted) -> None:
    world = await build(module, recent=recent)
    assert isinstance(await world.send("refuse", principal=ANN), Problem)
    assert isinstance(await world.send("count", principal=ANN), Reply)
    assert recent.noted == []


async def test_what_may_have_been_committed_is_noted(
    build: Build, recent: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await build(module, recent=recent)

    async def lost(_: Any) -> None:
        raise CommitUnknown

    monkeypatch.setattr("mainstay.ports.unit_of_work.UnitOfWork.commit", lost)
    assert isinstance(await world.send("add", principal=ANN), CommitUnknown)
    assert recent.noted == [ANN]


async def test_an_answer_that_is_repeated_is_noted(build: Build, recent: Noted) -> None:
    world = await build(module, recent=recent)
    for replayed in (False, True):
        reply = await world.send("add", principal=ANN, idempotency_key='"k"')
        assert isinstance(reply, Reply)
        assert reply.replayed is replayed
        assert recent.noted.pop() == ANN


async def test_what_is_to_be_delivered_is_read_from_no_replica(build: Build) -> None:
    store = Lagging()
    world = await build(module, store=store)
    assert not await world.worker("here").step()
    assert set(store.asked) == {True}


async def test_where_there_is_no_replica_nothing_is_asked(build: Build) -> None:
    store = Lagging()
    world = await build(module, store=store)
    store.has = -1.0
    assert isinstance(await world.send("add", principal=ANN), Reply)
    assert isinstance(await world.send("count", principal=ANN), Reply)
    assert store.asked == [False]
    assert (MemoryStore().current(), MemoryStore().degraded()) == (inf, None)
