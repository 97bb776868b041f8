"""Several hosts of one URL: who is asked first, who is not waited for, and what is told where none is fit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from postgres_schemas import SchemaStore, drop_schemas, server_url

from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget
from mainstay.adapters.sql.postgres.hosts import Hosts, urls_of
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.ports.store import Store
from mainstay.testing.conformance.model import Reader
from mainstay.testing.conformance.world import opened

STANDBY = asyncpg.TargetServerAttributeNotMatched("a standby")


class Opened:
    """A connection of no server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.terminated = False

    def terminate(self) -> None:
        self.terminated = True


class Servers:
    """What becomes of a connection to each host: opened after so many seconds, or refused with an exception."""

    def __init__(self, **hosts: float | Exception) -> None:
        self.hosts = hosts
        self.asked: list[str] = []
        self.opened: list[Opened] = []

    async def connect(self, url: str) -> Any:
        host = urlsplit(url).hostname or ""
        self.asked.append(host)
        told = self.hosts[host]
        if isinstance(told, Exception):
            raise told
        try:
            await asyncio.sleep(told)
        except asyncio.CancelledError:
            if told != 1:  # this one was through in the moment in which it was given up
                raise
        self.opened.append(Opened(host))
        return self.opened[-1]


def test_a_url_is_parted_into_one_for_each_host() -> None:
    assert list(urls_of("postgresql://me:a%2Cb@one:1,[::1]:2,three/shop?sslmode=require")) == [
        "postgresql://me:a%2Cb@one:1/shop?sslmode=require",
        "postgresql://me:a%2Cb@[::1]:2/shop?sslmode=require",
        "postgresql://me:a%2Cb@three/shop?sslmode=require",
    ]
    assert list(urls_of("postgresql:///shop")) == ["postgresql:///shop"]


def test_migrations_tell_all_hosts_and_no_secret() -> None:
    assert str(PostgresTarget("postgresql://me:geheim@a:1,b:2/shop")) == "postgresql://a:1,b:2/shop"
    assert str(PostgresTarget("postgresql:///shop", "s")) == "postgresql://localhost/shop (schema s)"


async def test_the_first_that_is_fit_is_taken_and_asked_first_from_then_on() -> None:
    hosts, servers = Hosts("postgresql://a,b,c/shop"), Servers(a=STANDBY, b=0.0, c=0.0)
    assert (await hosts.connect(servers.connect)).url == "b"
    assert (await hosts.connect(servers.connect)).url == "b"
    assert servers.asked == ["a", "b", "b"]


@pytest.mark.parametrize("silent", [60.0, 1.0], ids=["given up", "through as it is given up"])
async def test_a_host_that_does_not_answer_is_not_waited_for(silent: float) -> None:
    hosts, servers = Hosts("postgresql://a,b/shop"), Servers(a=silent, b=0.0)
    begun = time.monotonic()
    assert (await hosts.connect(servers.connect)).url == "b"
    assert time.monotonic() - begun < 0.9
    assert [one.url for one in servers.opened if not one.terminated] == ["b"]
    assert (await hosts.connect(servers.connect)).url == "b"
    assert servers.asked == ["a", "b", "b"]


async def test_a_host_that_is_slow_is_taken_where_no_other_is_fit() -> None:
    hosts, servers = Hosts("postgresql://a,b/shop"), Servers(a=0.4, b=STANDBY)
    assert (await hosts.connect(servers.connect)).url == "a"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [(STANDBY, OSError("away"), OSError), (OSError("away"), STANDBY, OSError), (STANDBY, STANDBY, type(STANDBY))],
)
async def test_that_a_server_is_away_is_told_before_that_one_is_a_standby(
    first: Exception, second: Exception, told: type[Exception]
) -> None:
    with pytest.raises(told):
        await Hosts("postgresql://a,b/shop").connect(Servers(a=first, b=second).connect)


async def test_who_gives_up_leaves_nothing_open() -> None:
    servers = Servers(a=60.0, b=1.0)
    task = asyncio.ensure_future(Hosts("postgresql://a,b/shop").connect(servers.connect))
    await asyncio.sleep(0.4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.terminated for one in servers.opened] == [True]


async def test_one_host_is_asked_and_no_other() -> None:
    servers = Servers(a=OSError("away"))
    with pytest.raises(OSError, match="away"):
        await Hosts("postgresql://a/shop").connect(servers.connect)


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_store_finds_its_server_behind_one_that_takes_connections_and_says_nothing(tmp_path: Path) -> None:
    silent = await asyncio.start_server(_listen, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    store = SchemaStore(tmp_path)
    try:
        async with opened(store, (Reader,)):
            url = server_url().replace("127.0.0.1", f"127.0.0.1:{port},127.0.0.1")
            behind: Store = PostgresStore(url, schema=store.schema, pool=1)
            begun = time.monotonic()
            async with opened(behind, (Reader,)) as world:
                assert await world.all(Reader) == []
            assert time.monotonic() - begun < 2.0
    finally:
        silent.close()
        await drop_schemas([store.schema])
