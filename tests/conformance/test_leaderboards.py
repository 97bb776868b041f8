"""The leaderboards of each store, and of Redis, do what all must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from document_stores import document_store
from mysql_databases import DatabaseStore, drop_databases
from postgres_schemas import SchemaStore, drop_schemas
from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from tests.conformance.redis_servers import OwnRedis, clear, link_to
from tests.conformance.servers import PREFIX, name_of, server

from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.mongo.store import MongoStore
from mainstay.adapters.redis.leaderboard import RedisLeaderboards
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.problem import Unavailable
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.store import Store
from mainstay.testing.conformance.leaderboard import (
    LeaderboardConformance,
    Player,
    StoredLeaderboardConformance,
    standing,
)
from mainstay.testing.conformance.limiter import SettableClock


class TestMemory(StoredLeaderboardConformance):
    def make_store(self, folder: Path) -> Store:
        return MemoryStore()


class TestSqlite(StoredLeaderboardConformance):
    def make_store(self, folder: Path) -> Store:
        return SqliteStore(folder / "test.db", create=True, synchronous="off")


class TestPostgres(StoredLeaderboardConformance):
    @pytest_asyncio.fixture
    async def place(self) -> AsyncIterator[None]:
        self.made: set[str] = set()
        yield
        await drop_schemas(self.made)

    def make_store(self, folder: Path) -> Store:
        store = SchemaStore(folder)
        self.made.add(store.schema)
        return store


class TestMysql(StoredLeaderboardConformance):
    @pytest_asyncio.fixture
    async def place(self) -> AsyncIterator[None]:
        self.made: set[str] = set()
        yield
        await drop_databases(self.made)

    def make_store(self, folder: Path) -> Store:
        store = DatabaseStore(folder)
        self.made.add(store.database)
        return store


class TestMongo(StoredLeaderboardConformance):
    @pytest_asyncio.fixture
    async def place(self) -> AsyncIterator[None]:
        yield
        async with AsyncMongoClient(server("MAINSTAY_TEST_MONGO")) as client:
            for name in await client.list_database_names():
                if name.startswith(PREFIX):
                    await client.drop_database(name)

    def make_store(self, folder: Path) -> Store:
        host, _, options = server("MAINSTAY_TEST_MONGO").partition("/?")
        return MongoStore(f"{host}/{name_of(folder)}?{options}")


class TestDynamo(StoredLeaderboardConformance):
    @pytest_asyncio.fixture
    async def place(self, tmp_path: Path) -> AsyncIterator[None]:
        async with document_store("dynamodb", tmp_path) as self.store:
            yield

    def make_store(self, folder: Path) -> Store:
        return self.store


class TestRedis(LeaderboardConformance):
    @pytest_asyncio.fixture(autouse=True)
    async def _boards(self) -> AsyncIterator[None]:
        link = link_to(part="leaderboards")
        self.boards = RedisLeaderboards(link)
        yield
        await clear(link)

    @asynccontextmanager
    async def board(self, name: str = "") -> AsyncIterator[Leaderboard[Player]]:
        yield self.boards.board(name or "game.Player")

    async def test_one_question_is_one_round_trip(self) -> None:
        one = UUID(int=1)
        board = self.boards.board("game.Player")
        await board.increment(one, 5)
        await board.rank(one)
        await board.around(one, 2)
        async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client, client.monitor() as monitor:
            await board.add(one, 1)
            await board.increment(one, 5)
            await board.rank(one)
            await board.around(one, 2)
            await board.top(3)
            await client.publish("behind", self.boards.link.base)
            asked = []
            while not (told := await monitor.next_command())["command"].startswith("PUBLISH behind"):
                if told["client_type"] != "lua" and self.boards.link.base in told["command"]:
                    asked.append(told["command"].split()[0])
        assert asked == ["ZADD", "EVALSHA", "EVALSHA", "EVALSHA", "ZRANGE"]


async def test_a_board_of_redis_is_unavailable_while_that_is_away_and_there_again_after_its_kill(
    tmp_path: Path,
) -> None:
    redis, one = OwnRedis(tmp_path), UUID(int=1)
    await redis.start()
    try:
        clock = SettableClock()
        boards = RedisLeaderboards(link_to(redis.url, part="leaderboards", clock=clock, timeout=5.0))
        board: Leaderboard[Player] = boards.board("game.Player")
        await board.add(one, 5)
        await redis.kill()
        for asking in (board.add(one, 6), board.increment(one), board.rank(one), board.top(1)):
            with pytest.raises(Unavailable):
                await asking
        await redis.start()
        clock.at += 2
        assert await board.top(2) == [standing(1, one, 5)]
        await boards.close()
    finally:
        await redis.kill()
