"""A real replica that queries are sent to: who reads from it, who does not, and what is when it lags or is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from own_mariadb import OwnMariadb, own_mariadbs
from own_postgres import OwnServer, own_pair
from postgres_world import Replica as Process

from mainstay import Dto, Entity, Module, Principal, Repository, anyone, field
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.recent_writes import MappedRecentWrites
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.kernel.call import Reply
from mainstay.model.problem import SerializationConflict
from mainstay.ports.store import Store

store = Module("store")
ANN, BOB = (Principal(id=UUID(int=number), subject=name) for number, name in ((7, "ann"), (8, "bob")))


class Piece(Entity):
    name: str = field(max_length=40)


class Make(Dto):
    name: str = field(max_length=40)


@store.command("POST /pieces", status=201, allow=anyone)
async def make(wanted: Make, pieces: Repository[Piece]) -> Piece:
    return await pieces.add(Piece(name=wanted.name))


@store.command("POST /none", allow=anyone)
async def refuse(pieces: Repository[Piece]) -> int:
    await pieces.get(UUID(int=5))
    return 0


@store.query("GET /pieces", allow=anyone)
async def count(pieces: Repository[Piece]) -> int:
    return await pieces.count()


@store.query("GET /twice", allow=anyone)
async def twice(pieces: Repository[Piece]) -> list[int]:
    first = await pieces.count()
    await asyncio.sleep(0)
    return [first, await pieces.count()]


@store.query("GET /all", allow=anyone)
async def every(pieces: Repository[Piece]) -> AsyncIterator[Piece]:
    async for piece in pieces.stream():
        yield piece


class Postgres:
    """A primary and its replica."""

    def __init__(self, primary: OwnServer, replica: OwnServer) -> None:
        self._primary = primary
        self._replica = replica
        self.kill = replica.kill
        self.start = replica.start

    async def store(self, name: str, **options: Any) -> Store:
        """Return a store on the pair, in a schema of this name."""
        await self._primary.ask(f"CREATE SCHEMA IF NOT EXISTS {name}", "SELECT 1")
        return PostgresStore(self._primary.url, schema=name, replica_url=self._replica.url, **options)

    async def pause(self) -> None:
        """Let the replica play nothing back any more."""
        await self._replica.ask("SELECT pg_wal_replay_pause()")
        await until(lambda: self._replica.ask("SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'"))

    async def resume(self) -> None:
        """Let it go on."""
        await self._replica.ask("SELECT pg_wal_replay_resume()")

    async def cut(self) -> None:
        """Have the replica end all connections."""
        await self._replica.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mainstay'"
        )


class Mariadb:
    """A primary and its replica."""

    def __init__(self, primary: OwnMariadb, replica: OwnMariadb) -> None:
        self._primary = primary
        self._replica = replica
        self.kill = replica.kill
        self.start = replica.start

    async def store(self, name: str, **options: Any) -> Store:
        """Return a store on the pair, in a database of this name."""
        if not await self._primary.ask(f"SHOW DATABASES LIKE '{name}'"):
            await self._primary.ask(f"CREATE DATABASE {name}")
            await until(lambda: self._replica.ask(f"SHOW DATABASES LIKE '{name}'"))
        url, replica = f"{self._primary.url}/{name}", f"{self._replica.url}/{name}"
        return MysqlStore(url, replica_url=replica, **options)

    async def pause(self) -> None:
        """Let the replica apply nothing any more."""
        await self._replica.ask("STOP SLAVE SQL_THREAD")

    async def resume(self) -> None:
        """Let it go on."""
        await self._replica.ask("START SLAVE")

    async def cut(self) -> None:
        """Have the replica end all connections."""
        for (number,) in await self._replica.ask(
            "SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND id <> CONNECTION_ID()"
        ):
            await self._replica.ask(f"KILL {number}")


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def servers(request: pytest.FixtureRequest) -> Iterator[Postgres | Mariadb]:
    if request.param == "postgresql":
        with own_pair() as (primary, standby):
            yield Postgres(primary, standby)
        return
    with own_mariadbs() as (first, second):
        asyncio.run(second.follow(first))
        yield Mariadb(first, second)


class Service:
    """Processes of one host on a primary and its replica."""

    def __init__(self, servers: Postgres | Mariadb, folder: Path) -> None:
        self.servers = servers
        self._name = f"s{blake2b(str(folder).encode(), digest_size=8).hexdigest()}"
        self._path = folder / "recent"
        self._processes: list[Process] = []

    async def process(self, **options: Any) -> Process:
        """Start a process that follows the replica."""
        given = {"create": True, "pool": 2, "replica_seconds": 60.0, **options}
        own = await self.servers.store(self._name, **given)
        one = Process(store, own, recent=MappedRecentWrites(SystemClock().monotonic, self._path))
        await one.store.start(one.bound.tables)
        self._processes.append(one)
        return one

    async def stop(self) -> None:
        for one in self._processes:
            await one.store.stop()
        await self.servers.resume()


async def until(found: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something is found."""
    async with asyncio.timeout(seconds):
        while True:
            told = found()
            if await told if asyncio.iscoroutine(told) else told:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def service(servers: Postgres | Mariadb, tmp_path: Path) -> AsyncIterator[Service]:
    one = Service(servers, tmp_path)
    yield one
    await one.stop()


async def read(process: Process, who: Principal, name: str = "count") -> Any:
    """Return the answer of a query."""
    reply = await process.send(name, principal=who)
    assert isinstance(reply, Reply), reply
    if reply.stream is not None:
        return len([part async for part in reply.stream])
    return reply.body.decode()


async def write(process: Process, who: Principal, name: str = "tea") -> None:
    assert isinstance(await process.send("make", b'{"name": "%s"}' % name.encode(), principal=who), Reply)


def caught_up(process: Process) -> Callable[[], bool]:
    """Return what says whether the replica has all that was committed up to now."""
    now = process.store.engine._clock()
    return lambda: process.store.current() > now


async def test_queries_are_answered_by_the_replica(service: Service) -> None:
    process = await service.process()
    await write(process, ANN)
    await until(caught_up(process))
    assert [await read(process, who) for who in (ANN, BOB)] == ["1", "1"]
    await service.servers.pause()
    await write(process, ANN)
    assert await read(process, BOB) == "1"
    assert process.store.statistics()["replica_connections"] == 1
    assert (process.store.health(), process.store.degraded()) == (None, None)


@pytest.mark.parametrize(("name", "old", "new"), [("count", "0", "1"), ("twice", "[0,0]", "[1,1]"), ("every", 0, 1)])
async def test_who_has_written_sees_it_though_the_replica_does_not(
    service: Service, name: str, old: Any, new: Any
) -> None:
    process = await service.process()
    await until(caught_up(process))
    await service.servers.pause()
    await write(process, ANN)
    for _ in range(3):
        assert await read(process, ANN, name) == new
        assert await read(process, BOB, name) == old
        await asyncio.sleep(0.15)
    await service.servers.resume()
    await until(caught_up(process))
    assert await read(process, BOB, name) == new


async def test_another_worker_of_the_host_knows_who_has_written(service: Service) -> None:
    one, other = await service.process(), await service.process()
    await until(caught_up(other))
    await service.servers.pause()
    await write(one, ANN)
    assert (await read(other, ANN), await read(other, BOB)) == ("1", "0")


async def test_who_has_written_nothing_reads_from_the_replica_and_all_unknown_are_one(service: Service) -> None:
    process = await service.process()
    await until(caught_up(process))
    await service.servers.pause()
    assert not isinstance(await process.send("refuse", principal=BOB), Reply)
    await write(process, Principal.anonymous)
    assert (await read(process, BOB), await read(process, Principal.anonymous)) == ("0", "1")


async def test_a_key_that_was_answered_before_is_a_write_too(service: Service) -> None:
    one, elsewhere = await service.process(), await service.process()
    elsewhere.bound.ports.store.listen(lambda: None)
    await until(caught_up(one))
    await service.servers.pause()
    reply = await one.send("make", b'{"name": "tea"}', key='"k"', principal=ANN)
    again = await elsewhere.send("make", b'{"name": "tea"}', key='"k"', principal=ANN)
    assert isinstance(reply, Reply)
    assert isinstance(again, Reply)
    assert again.replayed
    assert await read(elsewhere, ANN) == "1"


async def test_a_replica_that_is_too_far_behind_is_not_asked(service: Service) -> None:
    process = await service.process(replica_seconds=0.5)
    await until(caught_up(process))
    await service.servers.pause()
    await write(process, ANN)
    assert await read(process, BOB) == "0"
    await until(process.store.degraded)
    assert process.store.degraded() == "the replica is more than 0.5 s behind: queries go to the primary"
    assert await read(process, BOB) == "1"
    assert process.store.health() is None
    await service.servers.resume()
    await until(lambda: process.store.degraded() is None)


async def test_a_replica_that_goes_away_and_comes_back(service: Service) -> None:
    process = await service.process()
    await write(process, ANN)
    await until(caught_up(process))
    assert await read(process, BOB) == "1"
    await asyncio.to_thread(service.servers.kill)
    try:
        assert [await read(process, BOB, name) for name in ("count", "twice", "count")] == ["1", "[1,1]", "1"]
        assert await read(process, BOB, "every") == 1
        await until(process.store.degraded)
        assert process.store.degraded() == "the replica cannot be reached: queries go to the primary"
        assert process.store.health() is None
        late = await service.process()
        assert await read(late, BOB) == "1"
        assert late.store.degraded() is not None
    finally:
        await asyncio.to_thread(service.servers.start)
    await until(lambda: process.store.degraded() is None and late.store.degraded() is None)
    await until(caught_up(late))
    await service.servers.pause()
    await write(process, ANN)
    assert await read(late, BOB) == "1"


async def test_a_read_that_the_replica_ends_is_asked_of_the_primary(service: Service) -> None:
    """Whatever it plays back that a read holds up ends the read, or its connection."""
    process = await service.process()
    await write(process, ANN)
    await until(caught_up(process))
    assert await read(process, BOB) == "1"
    await service.servers.cut()
    assert [await read(process, BOB, name) for name in ("count", "twice")] == ["1", "[1,1]"]


async def test_a_read_that_holds_up_the_replica_is_asked_of_the_primary(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL tells a conflict with recovery as one that could not be serialised."""
    process = await service.process()
    await write(process, ANN)
    await until(caught_up(process))
    pool = process.store.engine.replica.pool
    link = await pool.take()
    fetch = type(link).fetch
    pool.give(link)
    ended: list[str] = []

    async def fetch_or_end(self: Any, statement: str, *more: Any, **named: Any) -> Any:
        if self in pool._lent and "store_piece" in statement:
            ended.append(statement)
            raise SerializationConflict
        return await fetch(self, statement, *more, **named)

    monkeypatch.setattr(type(link), "fetch", fetch_or_end)
    assert [await read(process, BOB, name) for name in ("count", "twice")] == ["1", "[1,1]"]
    assert len(ended) == 2
