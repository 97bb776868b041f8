"""Fences, sequences and effects where several replicas share a database: SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import mysql_databases
import postgres_schemas
import pytest
import pytest_asyncio
from flow_world import Record, Talk, inbox, number_of, rows_of, say
from kernel_world import Ear, Names, World

from mainstay import Service
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.kernel.bind import bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.places import microseconds
from mainstay.kernel.flow.records import KeySequence, Lease, OutboxMessage, State
from mainstay.kernel.flow.shares import LeaseLost
from mainstay.model.conditions import Compare
from mainstay.ports.rows import Change
from mainstay.testing.fixed import ClearSealer

pytestmark = pytest.mark.xdist_group("databases")

Replica = Callable[[Talk], Awaitable[World]]
PATIENCE = 60.0


def _store(kind: str, folder: Path) -> Any:
    if kind == "sqlite":
        return SqliteStore(folder / "events.sqlite", create=True, synchronous="off")
    made = postgres_schemas.SchemaStore if kind == "postgresql" else mysql_databases.DatabaseStore
    return made(folder)


@pytest_asyncio.fixture(params=["sqlite", "postgresql", "mariadb"])
async def replica(request: Any, tmp_path: Path) -> AsyncIterator[Replica]:
    """Return what makes a replica of a service on the test's database."""
    async with AsyncExitStack() as stack:

        async def make(talk: Talk) -> World:
            store, ear, tokens, clock = _store(request.param, tmp_path), Ear(), Names(), SystemClock()
            ports = Ports(
                store=store,
                limiter=MemoryLimiter(clock),
                clock=clock,
                ids=SystemIds(),
                entropy=SystemEntropy(),
                sealer=ClearSealer(),
                observer=ear,
                tokens=tokens,
            )
            bound = bind(Service("sample", modules=[talk.module]), ports)
            assert not bound.faults
            await store.start(bound.tables)
            stack.push_async_callback(store.stop)
            await bound.providers.start()
            stack.push_async_callback(bound.providers.stop)
            return World(bound, clock, ear, tokens, store, {o.name: o for o in bound.operations})  # type: ignore[arg-type]

        yield make
    if request.param == "postgresql":
        await postgres_schemas.drop_schemas([postgres_schemas.schema_of(tmp_path)])
    elif request.param == "mariadb":
        await mysql_databases.drop_databases([mysql_databases.database_of(tmp_path)])


async def test_sequences_of_a_key_have_the_order_of_commits_and_lack_none(replica: Replica) -> None:
    worlds = [await replica(Talk()), await replica(Talk())]
    before = microseconds(worlds[0].clock.now())

    async def emit(number: int) -> None:
        await say(worlds[number % 2], number, key="hot" if number % 3 else "cold")

    for first in range(0, 24, 6):
        await asyncio.gather(*(emit(number) for number in range(first, first + 6)))
    messages = await rows_of(worlds[0], OutboxMessage)
    assert not [call.error for world in worlds for call in world.ear.calls if call.error]
    for key in ("hot", "cold"):
        own = sorted((m for m in messages if m.key == key), key=lambda m: m.sequence)
        assert [m.previous for m in own] == [0, *(m.sequence for m in own[:-1])]
        assert own[0].sequence >= before
    last = {row.key: row.last for row in await rows_of(worlds[0], KeySequence)}
    assert last == {key: max(m.sequence for m in messages if m.key == key) for key in ("hot", "cold")}
    told = len(messages)
    refused = sum(call.code is not None for world in worlds for call in world.ear.calls)
    assert told + refused == 24  # who meets others over and over is told so, and has emitted nothing
    assert told >= 12


async def test_what_was_passed_over_moves_and_changes_nothing(replica: Replica) -> None:
    talk = Talk()
    stuck, other = await replica(talk), await replica(talk)
    worker = stuck.worker("stuck")
    await worker.shares.step()
    await say(stuck, 1, 2, 3)
    transaction = other.store.begin(write=True)
    await transaction.rows(Lease).apply(Change(where=Compare("fence", "ge", 1), changes={"holder": "b", "fence": 9}))
    await transaction.commit()
    assert set(worker.shares.held) == set(range(16))  # as far as it knows
    await worker.relay.step()
    assert worker.counters.conflicts == 1
    for partition in range(16):
        begun = stuck.store.begin(write=True)
        with pytest.raises(LeaseLost):
            await worker.shares.check(begun, [partition])
        await begun.rollback()
    assert worker.shares.held == {}
    assert len(await rows_of(other, OutboxMessage)) == 3
    assert await inbox(other) == []


async def test_every_effect_is_one_however_many_replicas_race_for_it(replica: Replica) -> None:
    talks = [Talk(second=True), Talk(second=True)]
    worlds = [await replica(talk) for talk in talks]
    workers = [world.worker(f"r{number}") for number, world in enumerate(worlds)]
    for worker in workers:  # both believe that they hold everything: fences and compare and set are what is left
        await worker.shares.step()
        worker.shares._share = lambda *_: range(16)  # type: ignore[method-assign]
    for number in range(0, 40, 4):
        await say(worlds[0], number, number + 1, key=f"k{number % 3}")
        await say(worlds[1], number + 2, number + 3)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while len(await inbox(worlds[0], State.DONE)) < 80:
        assert asyncio.get_running_loop().time() < deadline, "not all was done in time"
        await asyncio.gather(*(worker.step() for worker in workers))
        for worker in workers:
            worker.shares._due = 0.0
            worker.runner.look_everywhere()
    done = [(r.number, r.consumer) for r in await rows_of(worlds[0], Record)]
    assert sorted(done) == sorted((n, c) for n in range(40) for c in ("first", "second"))
    await _in_order(worlds[0])


async def _in_order(world: World) -> None:
    """See that each key's messages were done in the order of their sequences."""
    place = {r.number: n for n, r in enumerate(await rows_of(world, Record)) if r.consumer == "first"}
    for key in ("k0", "k1", "k2"):
        rows = [row for row in await inbox(world) if row.key == key and row.consumer == "first"]
        numbers = [number_of(row) for row in sorted(rows, key=lambda row: row.sequence)]
        assert [place[n] for n in numbers] == sorted(place[n] for n in numbers), key


async def test_a_message_that_is_run_twice_at_once_has_one_effect(replica: Replica) -> None:
    talk = Talk()
    world, other = await replica(talk), await replica(talk)
    worker = world.worker()
    await say(world, 1)
    await worker.shares.step()
    await worker.relay.step()
    (row,) = await inbox(world)
    at_once = asyncio.Barrier(2)

    async def meet(_: int) -> None:
        await at_once.wait()
        talk.waits = None

    talk.waits = meet
    body = row.payload.encode()
    await asyncio.gather(*(each.send("first", body=body, message=row) for each in (world, other)))
    assert [r.number for r in await rows_of(world, Record)] == [1]
    (done,) = await inbox(world)
    assert (done.state, done.version) == (State.DONE, row.version + 1)


async def test_workers_share_a_database_until_all_is_done(replica: Replica) -> None:
    talks = [Talk(), Talk(), Talk()]
    worlds = [await replica(talk) for talk in talks]
    workers = [world.worker(f"r{number}") for number, world in enumerate(worlds)]
    for worker, world in zip(workers, worlds, strict=True):
        worker.listen(world.bound)
    running = [asyncio.create_task(worker.run()) for worker in workers]
    for number in range(30):
        await say(worlds[number % 3], number, key=f"k{number % 4}")
    emitted = sum(call.code is None for world in worlds for call in world.ear.calls if call.operation == "say")
    assert emitted == 30
    async with asyncio.timeout(PATIENCE):
        while len(await inbox(worlds[0], State.DONE)) < emitted:
            await asyncio.sleep(0.05)
    for worker in workers:
        worker.stop()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*running)
    assert len({r.number for r in await rows_of(worlds[0], Record)}) == emitted
    await _in_order(worlds[0])
    assert not [n for world in worlds for n in world.ear.notices if n.level == "error"]
