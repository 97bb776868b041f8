"""Connections to PostgreSQL that end in every phase of a call: what is answered, what was done, what is lent then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postgres_world import Replica, World, clean, opened

from mainstay import Dto, Entity, Module, Repository, anyone, field
from mainstay.kernel.call import Reply
from mainstay.model.problem import Problem

ledger = Module("ledger")


class Entry(Entity):
    mark: str = field(max_length=40)


class Total(Entity):
    name: str = field(unique=True, max_length=40)
    n: int = 0


class Write(Dto):
    mark: str = field(max_length=40)


@ledger.command("POST /entries", status=201, allow=anyone)
async def write(wanted: Write, entries: Repository[Entry]) -> Entry:
    """Only write: one statement that commits itself."""
    return await entries.add(Entry(mark=wanted.mark))


@ledger.command("POST /counted", status=201, allow=anyone)
async def count_one(wanted: Write, entries: Repository[Entry], totals: Repository[Total]) -> Entry:
    """Read, write and commit."""
    total = await totals.one(name="entries")
    await totals.update(total, n=total.n + 1)
    return await entries.add(Entry(mark=wanted.mark))


@ledger.command("POST /prepare", allow=anyone)
async def prepare(totals: Repository[Total]) -> int:
    await totals.add(Total(name="entries"))
    return 1


@ledger.query("GET /once", allow=anyone)
async def count(entries: Repository[Entry]) -> int:
    """Read once."""
    return await entries.count()


@ledger.query("GET /twice", allow=anyone)
async def look(entries: Repository[Entry], totals: Repository[Total]) -> int:
    """Read twice on one snapshot."""
    total = await totals.one(name="entries")
    return await entries.count() - total.n


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(ledger, tmp_path) as one:
        yield one


@pytest.fixture
async def here(world: World) -> Replica:
    one = await world.replica()
    assert isinstance(await one.send("prepare"), Reply)
    return one


def body(mark: str) -> bytes:
    return b'{"mark": "%s"}' % mark.encode()


async def effects(world: World, mark: str) -> int:
    rows = await world.direct(f"SELECT count(*) FROM ledger_entry WHERE mark = '{mark}'")
    return int(rows[0][0])


async def warm(one: Replica) -> None:
    """Let the statements of all operations be prepared: what is cut then is not their preparation."""
    for key in (None, "warm"):
        for name in ("write", "count_one"):
            assert isinstance(await one.send(name, body("warm"), None if key is None else key + name), Reply)
    for name in ("count", "look"):
        assert isinstance(await one.send(name), Reply)


# phase, operation, kind of message, text of its statement, what is done, code without a key, effects without a key
PHASES = [
    ("before BEGIN", "count_one", "Q", "BEGIN", "before", "not_committed", 0),
    ("BEGIN not answered", "count_one", "Q", "BEGIN", "swallow", "not_committed", 0),
    ("a read", "count_one", "E", "SELECT", "before", "not_committed", 0),
    ("a read not answered", "count_one", "S", "SELECT", "swallow", "not_committed", 0),
    ("a flush", "count_one", "E", "INSERT", "before", "not_committed", 0),
    ("a flush not answered", "count_one", "S", "INSERT", "swallow", "not_committed", 0),
    ("before COMMIT", "count_one", "Q", "COMMIT", "before", "commit_unknown", 0),
    ("COMMIT not answered", "count_one", "Q", "COMMIT", "swallow", "commit_unknown", 1),
    ("before what commits itself", "write", "E", "INSERT", "before", "commit_unknown", 0),
    ("what commits itself not answered", "write", "S", "INSERT", "swallow", "commit_unknown", 1),
]


@pytest.mark.parametrize(("operation", "kind", "text", "act", "code", "done"), [p[1:] for p in PHASES], ids=[
    p[0] for p in PHASES
])  # fmt: skip
async def test_a_cut_without_a_key(
    world: World, here: Replica, operation: str, kind: str, text: str, act: Any, code: str, done: int
) -> None:
    await warm(here)
    met = world.proxy.on(kind, text, act)
    problem = await here.send(operation, body("m"))
    assert met.is_set(), repr(problem)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.kind.name) == (code, "UNAVAILABLE")
    assert (problem.retry_after is None) == (code == "commit_unknown")
    assert await effects(world, "m") == done
    assert here.ear.calls[-1].error is not problem  # the log is told the cause
    await clean(here.store)


@pytest.mark.parametrize(("operation", "kind", "text", "act"), [p[1:5] for p in PHASES], ids=[p[0] for p in PHASES])
async def test_a_cut_with_a_key(world: World, here: Replica, operation: str, kind: str, text: str, act: Any) -> None:
    await warm(here)
    met = world.proxy.on(kind, text, act)
    reply = await here.send(operation, body("m"), "k")
    assert met.is_set(), repr(reply)
    if isinstance(reply, Problem):
        assert reply.code in ("not_committed", "database_away")
        assert reply.retry_after is not None
        reply = await here.send(operation, body("m"), "k")
    assert isinstance(reply, Reply), reply
    assert (reply.status, await effects(world, "m")) == (201, 1)
    again = await here.send(operation, body("m"), "k")
    assert isinstance(again, Reply)
    assert (again.body, again.replayed) == (reply.body, True)
    assert await effects(world, "m") == 1
    await clean(here.store)


async def test_what_was_not_sent_yet_is_known_not_to_be_committed(world: World, here: Replica) -> None:
    world.proxy.on("P", "INSERT", "before")
    problem = await here.send("write", body("m"))
    assert isinstance(problem, Problem)
    assert problem.code == "not_committed"
    await clean(here.store)


@pytest.mark.parametrize("act", ["before", "swallow"])
async def test_a_query_of_one_read_is_asked_again(world: World, here: Replica, act: Any) -> None:
    await warm(here)
    met = world.proxy.on("S", "SELECT", act)
    assert isinstance(await here.send("count"), Reply)
    assert met.is_set()
    await clean(here.store)


@pytest.mark.parametrize(
    ("kind", "text", "number", "answered"),
    [("Q", "BEGIN", 1, True), ("S", "SELECT", 1, False), ("S", "SELECT", 2, False)],
)
async def test_a_query_of_several_reads_keeps_to_its_snapshot(
    world: World, here: Replica, kind: str, text: str, number: int, answered: bool
) -> None:
    """Before its first row it may begin anew; the driver's statement within it is told as the database being away."""
    await warm(here)
    met = world.proxy.on(kind, text, "before", number)
    told = await here.send("look")
    assert met.is_set(), repr(told)
    if isinstance(told, Problem):
        assert told.code == "database_away"
    assert isinstance(told, Reply) or not answered
    await clean(here.store)


async def test_all_connections_end_and_the_database_is_away_for_a_while(world: World, here: Replica) -> None:
    await warm(here)
    world.proxy.refusing = True
    world.proxy.cut()
    async with asyncio.timeout(1):
        while here.store.health() is None:
            await asyncio.sleep(0.005)
    for name, key in (("write", None), ("write", "k"), ("count_one", None), ("count", None), ("look", None)):
        problem = await here.send(name, body("m"), key)
        assert isinstance(problem, Problem)
        assert (problem.code, problem.retry_after) == ("database_away", 1)
    world.proxy.refusing = False
    await clean(here.store)  # in time, though nobody asked for anything
    assert await effects(world, "m") == 0
    assert isinstance(await here.send("write", body("m"), "k"), Reply)


async def test_a_commit_that_ends_as_the_database_goes_away_is_answered_when_it_is_back(
    world: World, here: Replica
) -> None:
    await warm(here)
    met = world.proxy.on("Q", "COMMIT", "swallow")
    call = asyncio.create_task(here.send("count_one", body("m"), "k"))
    await met.wait()
    world.proxy.refusing = True
    world.proxy.cut()
    problem = await call
    assert isinstance(problem, Problem)
    assert (problem.code, problem.retry_after) == ("commit_unknown", 1.0)
    world.proxy.refusing = False
    await clean(here.store)
    reply = await here.send("count_one", body("m"), "k")
    assert isinstance(reply, Reply)
    assert (reply.replayed, await effects(world, "m")) == (True, 1)


async def test_every_connection_is_in_use(world: World) -> None:
    one = await world.replica(pool=1, wait_seconds=1.0)
    link = await one.store.engine.writers.take()
    problem = await one.send("write", body("m"))
    assert isinstance(problem, Problem)
    assert (problem.code, problem.retry_after) == ("pool_exhausted", 1)
    assert one.store.health() is None
    one.store.engine.writers.give(link)
    assert isinstance(await one.send("write", body("m")), Reply)
    await clean(one.store)


async def test_a_call_that_is_late_does_not_wait_for_longer(world: World, here: Replica) -> None:
    """Nothing passes any more: not its statement, nor that which should undo it."""
    await warm(here)
    world.proxy.on("S", "SELECT", "stall")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    problem = await here.send("count_one", body("m"), deadline=begun + 0.2)
    assert isinstance(problem, Problem)
    assert problem.code == "deadline_exceeded"
    assert loop.time() - begun < 3.0
    await clean(here.store)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_at_random_writes_are_done_once(world: World, here: Replica, number: int) -> None:
    """Cuts, each of any connection, the claims' one too, while calls with keys are repeated until they are answered."""
    replies: dict[str, bytes] = {}

    async def keep(mark: str) -> None:
        while True:
            reply = await here.send("count_one" if int(mark) % 2 else "write", body(mark), f"key-{mark}")
            if isinstance(reply, Reply):
                replies[mark] = reply.body
                return
            assert reply.kind.name == "UNAVAILABLE" or reply.code == "idempotency_in_flight", reply.code
            await asyncio.sleep(0.01)

    async def cuts() -> None:
        chance = random.Random(number)
        for _ in range(15):
            await asyncio.sleep(0.02 + chance.random() * 0.1)
            world.proxy.cut(chance.randrange(len(world.proxy.passages) or 1))

    cutting = asyncio.create_task(cuts())
    try:
        async with asyncio.timeout(40):
            await asyncio.gather(*(keep(str(mark)) for mark in range(40)))
    finally:
        cutting.cancel()
        await asyncio.wait((cutting,))
    await clean(here.store)
    rows = await world.direct("SELECT mark, count(*) FROM ledger_entry GROUP BY mark")
    assert {mark: times for mark, times in rows} == {str(mark): 1 for mark in range(40)}
