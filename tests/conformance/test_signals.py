"""The signals of each adapter do what all must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio.connection import Connection
from tests.conformance.redis_servers import OwnRedis, link_to

from mainstay.adapters.memory.signals import MemorySignals
from mainstay.adapters.redis.hearing import PATIENCE
from mainstay.adapters.redis.signals import RedisSignals
from mainstay.ports.signals import Signals
from mainstay.testing.conformance.signals import SignalsConformance, heard
from mainstay.testing.recorder import Recorder


class TestMemorySignals(SignalsConformance):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Signals]:
        yield MemorySignals()


class TestRedisSignals(SignalsConformance):
    between_processes = True

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Signals]:
        signals = RedisSignals(link_to(service="signals-of-tests", part="signals"))
        async with signals.running():
            yield signals


async def test_who_subscribes_while_the_first_connection_is_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Connection.connect

    async def slow(self: Connection) -> None:
        await asyncio.sleep(0.1)
        await connect(self)

    monkeypatch.setattr(Connection, "connect", slow)
    signals = RedisSignals(link_to(part="signals"))
    async with signals.running(), asyncio.timeout(PATIENCE):  # behind that, channels are asked for anew
        await asyncio.sleep(0.05)
        async with signals.subscribe("passing"):
            pass
        async with signals.subscribe("a") as one, signals.subscribe("b") as two:
            await signals.publish("a", 1)
            await signals.publish("b", 2)
            assert [await heard(one, 1), await heard(two, 1)] == [[1], [2]]


async def test_what_is_told_is_counted() -> None:
    signals = MemorySignals()
    async with signals.subscribe("a") as one, signals.subscribe("a"):
        await signals.publish("a", 1)
        assert await heard(one, 1) == [1]
    assert signals.statistics() == {"told": 2, "lost_by_slow_listeners": 0}


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    made = OwnRedis(tmp_path)
    await made.start()
    yield made
    await made.kill()


async def test_what_is_told_without_redis_is_lost_and_counted_and_who_listens_hears_again(own: OwnRedis) -> None:
    recorder = Recorder()
    signals = RedisSignals(link_to(own.url, part="signals", observer=recorder, timeout=1.0))
    async with signals.running(), signals.subscribe("a") as listening:
        await signals.publish("a", 1)
        assert await heard(listening, 1) == [1]
        await own.kill()
        for _ in range(5):
            await signals.publish("a", "lost")
        assert signals.statistics()["unsent"] == 5
        await own.start()
        again: list[str] = []

        async def listen() -> None:
            again.append(await anext(listening))

        task = asyncio.ensure_future(listen())
        async with asyncio.timeout(60):
            while not again:
                await signals.publish("a", "again")
                await asyncio.sleep(0.05)
        await task
        assert again == ["again"]
    assert [one.event for one in recorder.notices] == ["redis_away", "redis_back"]


async def test_who_begins_to_listen_without_redis_hears_once_it_is_back(own: OwnRedis) -> None:
    await own.kill()
    signals = RedisSignals(link_to(own.url, part="signals", timeout=1.0))
    async with signals.running(), signals.subscribe("a") as listening:
        await own.start()
        task = asyncio.ensure_future(anext(listening))
        async with asyncio.timeout(60):
            while not task.done():
                await signals.publish("a", "x")
                await asyncio.sleep(0.05)
        assert await task == "x"
