"""The broker on a database does what every broker must, on each store that services may share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import mysql_databases
import postgres_schemas
import pytest
import pytest_asyncio
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance

from mainstay.adapters.database.broker import DatabaseBroker
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.ports.broker import Broker
from mainstay.ports.store import Store


def through(proxy: CuttingProxy, url: str) -> str:
    """Return the URL of a server by way of a proxy before it."""
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who}{at}127.0.0.1:{proxy.port}"))


class _OnDatabase(CutAgainConformance):
    def store(self) -> Store:
        raise NotImplementedError

    def make_broker(self) -> Broker:
        return DatabaseBroker(self.store(), clock=SystemClock(), ids=SystemIds(), observer=Fanout([]))


class TestOnSqlite(_OnDatabase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "broker.sqlite"

    def store(self) -> Store:
        return SqliteStore(self.path, create=True)

    async def sever(self) -> None:
        """Cut nothing: a file has no connections."""


class TestOnPostgres(_OnDatabase):
    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self, tmp_path: Path) -> AsyncIterator[None]:
        self.schema = postgres_schemas.schema_of(tmp_path)
        await postgres_schemas.execute(f"CREATE SCHEMA {self.schema}")
        parts = urlsplit(postgres_schemas.server_url())
        async with CuttingProxy(parts.port or 5432).open() as self.proxy:
            yield
        await postgres_schemas.drop_schemas([self.schema])

    def store(self) -> Store:
        url = through(self.proxy, postgres_schemas.server_url())
        return PostgresStore(url, create=True, schema=self.schema, pool=4)

    async def interrupt(self) -> None:
        assert self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()


class TestOnMariadb(_OnDatabase):
    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self, tmp_path: Path) -> AsyncIterator[None]:
        self.database = mysql_databases.database_of(tmp_path)
        await mysql_databases.execute(f"CREATE DATABASE {self.database}")
        parts = urlsplit(mysql_databases.server_url())
        async with CuttingProxy(parts.port or 3306).open() as self.proxy:
            yield
        await mysql_databases.drop_databases([self.database])

    def store(self) -> Store:
        return MysqlStore(through(self.proxy, mysql_databases.server_url(self.database)), create=True, pool=4)

    async def interrupt(self) -> None:
        assert self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()
