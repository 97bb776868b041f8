"""A service on PostgreSQL behind the proxy that cuts, and what must hold of its connections afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from postgres_proxy import Proxy
from postgres_schemas import drop_schemas, execute, schema_of, server_url

from mainstay import Module, Service
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.postgres import Link
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem, Unauthenticated
from mainstay.ports.observer import CallEnded, Observation, Observer
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.tokens import TokenVerifier
from mainstay.testing.fixed import ClearSealer

HEALING_SECONDS = 2.0


class Ear(Observer):
    """Keeps what it hears of calls."""

    def __init__(self) -> None:
        self.calls: list[CallEnded] = []

    def observe(self, observation: Observation) -> None:
        if isinstance(observation, CallEnded):
            self.calls.append(observation)


class NoTokens(TokenVerifier):
    """Believes nobody."""

    def verify(self, token: bytes) -> Principal:
        raise Unauthenticated


class Replica:
    """One process of a service."""

    def __init__(self, module: Module, store: Any, recent: RecentWrites | None = None) -> None:
        clock = SystemClock()
        self.store = store
        self.ear = Ear()
        ports = Ports(
            store=store,
            limiter=MemoryLimiter(clock),
            clock=clock,
            ids=SystemIds(),
            entropy=SystemEntropy(),
            sealer=ClearSealer(),
            observer=self.ear,
            tokens=NoTokens(),
            recent=recent,
        )
        self.bound: Bound = bind(Service("sample", modules=[module]), ports)
        assert not self.bound.faults
        self._named: dict[str, BoundOperation] = {one.name: one for one in self.bound.operations}

    async def send(self, name: str, body: bytes = b"{}", key: str | None = None, **given: Any) -> Reply | Problem:
        """Run a call."""
        call = Call(
            operation=self._named[name], request_id="r", peer="192.0.2.1", body=body, idempotency_key=key, **given
        )
        return await dispatch(call)


class World:
    """The proxy, the schema behind it, and the replicas that run on it."""

    def __init__(self, module: Module, proxy: Proxy, schema: str) -> None:
        self.proxy = proxy
        self.schema = schema
        self._module = module
        self._replicas: list[Replica] = []

    async def replica(self, **options: Any) -> Replica:
        """Start one more process of the service; its connections pass through the proxy."""
        parts = urlsplit(server_url())
        url = f"postgresql://{parts.username}@127.0.0.1:{self.proxy.port}{parts.path}"
        given = {"pool": 3, "wait_seconds": 2.0, "synchronous": "off", "create": True, **options}
        one = Replica(self._module, PostgresStore(url, schema=self.schema, **given))
        await one.store.start(one.bound.tables)
        self._replicas.append(one)
        return one

    async def direct(self, statement: str) -> list[Any]:
        """Ask the server itself, not through the proxy."""
        return await ask(f"SET search_path = {self.schema}", statement)

    async def stop(self) -> None:
        """Stop all replicas."""
        for one in self._replicas:
            await one.store.stop()


async def ask(*statements: str) -> list[Any]:
    """Run statements by a connection of their own, and return the rows of the last one."""
    import asyncpg

    connection = await asyncpg.connect(server_url())
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        rows: list[Any] = await connection.fetch(statements[-1])
        return rows
    finally:
        await connection.close()


async def healed(store: PostgresStore) -> None:
    """Wait until the store says that it is well. Raises ``TimeoutError`` where that takes longer than it may."""
    async with asyncio.timeout(HEALING_SECONDS):
        while store.health() is not None:
            await asyncio.sleep(0.01)


async def clean(store: PostgresStore) -> None:
    """Take every connection there can be: each must answer, outside of any transaction."""
    await asyncio.sleep(0.05)  # what was cut just now is still to be heard of
    await healed(store)
    for pool in (store.engine.writers, store.engine.readers):
        async with asyncio.timeout(HEALING_SECONDS):
            while pool.lent:
                await asyncio.sleep(0.005)
            await _try_all(pool, store.engine.writers.size)


async def _try_all(pool: Pool[Link], size: int) -> None:
    links: list[Link] = [await pool.take() for _ in range(size)]
    try:
        assert len(set(links)) == size
        for link in links:
            assert not link.in_transaction
            before = await link.fetch("SELECT now(), 1", ())
            after = await link.fetch("SELECT now(), 1", ())
            assert before[0][1] == 1
            assert before[0][0] != after[0][0], "both were asked in one transaction"
    finally:
        for link in links:
            pool.give(link)


@asynccontextmanager
async def opened(module: Module, folder: Path) -> AsyncIterator[World]:
    """Have a schema, and a proxy before the server; all ends with the block."""
    schema = schema_of(folder)
    await execute(f"CREATE SCHEMA {schema}")
    try:
        port = urlsplit(server_url()).port
        assert port is not None
        async with Proxy(port).open() as proxy:
            world = World(module, proxy, schema)
            try:
                yield world
            finally:
                await world.stop()
    finally:
        await drop_schemas([schema])
