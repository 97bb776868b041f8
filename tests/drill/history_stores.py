"""The stores of which histories are made: two processes' on the same rows where a store can be shared.

Servers are those that the tests use (``scripts/services env``); what a drill makes in them goes away with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType

from mysql_databases import DatabaseStore, drop_databases
from own_postgres import own_pair
from postgres_schemas import SchemaStore, drop_schemas
from served import Broken

from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.ports.store import Store

LAG_MILLISECONDS = 40

Stores = AbstractAsyncContextManager[list[Store]]


def _server(variable: str) -> str:
    url = os.environ.get(variable)
    if not url:
        raise Broken(f'{variable} is not set: run scripts/services up, and eval "$(scripts/services env)"')
    return url


@contextlib.asynccontextmanager
async def _memory(_: Path) -> AsyncIterator[list[Store]]:
    yield [MemoryStore()]


@contextlib.asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[list[Store]]:
    path = folder / "history.sqlite3"
    yield [SqliteStore(path, create=True, synchronous="off") for _ in range(2)]


@contextlib.asynccontextmanager
async def _postgresql(folder: Path, *, pooler: bool = False) -> AsyncIterator[list[Store]]:
    stores = [SchemaStore(folder, pooler=pooler) for _ in range(2)]
    try:
        yield [*stores]
    finally:
        await drop_schemas([stores[0].schema])


def _pooled(folder: Path) -> Stores:
    return _postgresql(folder, pooler=True)


@contextlib.asynccontextmanager
async def _mariadb(folder: Path) -> AsyncIterator[list[Store]]:
    stores = [DatabaseStore(folder) for _ in range(2)]
    try:
        yield [*stores]
    finally:
        await drop_databases([stores[0].database])


@contextlib.asynccontextmanager
async def _mongo(folder: Path) -> AsyncIterator[list[Store]]:
    from pymongo import AsyncMongoClient

    from mainstay.adapters.mongo.store import MongoStore

    url, name = _server("MAINSTAY_TEST_MONGO"), _name(folder)
    try:
        yield [MongoStore(url.replace("/?", f"/{name}?")) for _ in range(2)]
    finally:
        async with AsyncMongoClient[dict[str, object]](url) as client:
            await client.drop_database(name)


@contextlib.asynccontextmanager
async def _dynamo(folder: Path) -> AsyncIterator[list[Store]]:
    from aiobotocore.session import get_session

    from mainstay.adapters.dynamo.store import DynamoStore, place_of

    place, name = place_of(_server("MAINSTAY_TEST_DYNAMO")), _name(folder)
    keys = ("drill", "drill")
    try:
        yield [
            DynamoStore(place.region, name, endpoint=place.endpoint, credentials=keys, timeout=120.0) for _ in range(2)
        ]
    finally:
        session = get_session()
        async with session.create_client(
            "dynamodb",
            region_name=place.region,
            endpoint_url=place.endpoint,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
        ) as client:
            await client.delete_table(TableName=name)


def _name(folder: Path) -> str:
    return f"mainstay_drill_{os.getpid()}_{folder.name[-8:]}".lower()


@contextlib.asynccontextmanager
async def _replicated(_: Path) -> AsyncIterator[list[Store]]:
    """A primary, and a standby for queries that is some commits behind all the time."""
    with own_pair() as (primary, standby):
        await standby.ask(f"ALTER SYSTEM SET recovery_min_apply_delay = {LAG_MILLISECONDS}", "SELECT pg_reload_conf()")
        yield [PostgresStore(primary.url, create=True, pool=4, replica_url=standby.url) for _ in range(2)]


STORES: Mapping[str, Callable[[Path], Stores]] = MappingProxyType(
    {
        "memory": _memory,
        "sqlite": _sqlite,
        "postgresql": _postgresql,
        "pooled": _pooled,
        "replicated": _replicated,
        "mariadb": _mariadb,
        "mongo": _mongo,
        "dynamo": _dynamo,
    }
)
