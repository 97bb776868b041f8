"""The cache on Redis does what every cache must, on the server that MAINSTAY_TEST_REDIS names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.conformance.redis_servers import OwnRedis, clear, link_to
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.cache import MemoryCache
from mainstay.adapters.redis import cache as redis_cache
from mainstay.adapters.redis.cache import RedisCache
from mainstay.adapters.redis.link import RedisLink
from mainstay.ports.cache import Cache
from mainstay.ports.clock import Clock
from mainstay.testing.conformance.cache import CacheConformance
from mainstay.testing.fixed import FixedClock
from mainstay.testing.recorder import Recorder

PATIENCE = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(link: RedisLink, clock: Clock | None = None, size: int = 1000) -> AsyncIterator[RedisCache]:
    """Give a cache that hears what others drop."""
    clock = clock or SystemClock()
    cache = RedisCache(link, MemoryCache(clock, size=size), clock, SystemIds(), size=size)
    async with cache.running():
        await until(lambda: cache._hears)
        yield cache


class TestRedisCache(CacheConformance):
    @pytest_asyncio.fixture
    async def cache(self, clock: FixedClock) -> AsyncIterator[Cache]:
        self.link = link_to(part="cache")
        async with running(self.link, clock, self.size) as cache:
            yield cache
        await clear(self.link)

    async def pass_time(self, clock: FixedClock, seconds: float) -> None:
        """Let time pass here, and take it from what the server still has to keep."""
        clock.advance(seconds)
        async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client:
            async for key in client.scan_iter(match=f"{self.link.base}*", count=1000):
                left = await client.pttl(key)
                if left > 0:
                    await client.pexpire(key, max(1, left - round(seconds * 1000)))
        await asyncio.sleep(0.02)


class TestRedisCacheThatHearsNothing(TestRedisCache):
    """Such a one keeps nothing in its process, and is right all the same."""

    @pytest_asyncio.fixture
    async def cache(self, clock: FixedClock) -> AsyncIterator[Cache]:
        self.link = link_to(part="cache")
        near = MemoryCache(clock, size=self.size)
        yield RedisCache(self.link, near, clock, SystemIds(), size=self.size)
        await clear(self.link)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[tuple[RedisCache, RedisCache]]:
    """Two processes with one Redis."""
    link = link_to(part="cache")
    other = link_to(part="cache", service=link.base.partition("}")[0][1:])
    async with running(link) as one, running(other) as two:
        yield one, two
    await clear(link)


async def test_processes_share_what_one_has_made(pair: tuple[RedisCache, RedisCache]) -> None:
    one, two = pair

    async def make() -> dict[str, Any]:
        return {"x": [1, 2.5, None, True, "ä", b"\x00"]}

    async def fail() -> Any:
        raise AssertionError("it was made before")

    made = await one.get_or_make("a", make, ttl=60, tags=("t",))
    assert await two.get_or_make("a", fail, ttl=60, tags=("t",)) == made
    assert await two.get("a") == made
    assert two.statistics()["hits_redis"] == 1
    assert two.statistics()["hits_near"] == 1


async def test_one_process_makes_a_value_for_all(pair: tuple[RedisCache, RedisCache]) -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)
        return made

    found = await asyncio.gather(*(cache.get_or_make("a", make, ttl=60) for cache in pair for _ in range(10)))
    assert found == [1] * 20


async def test_who_fails_to_make_a_value_leaves_it_to_the_others(pair: tuple[RedisCache, RedisCache]) -> None:
    one, two = pair
    begun = asyncio.Event()

    async def fail() -> int:
        begun.set()
        await asyncio.sleep(0.05)
        raise ZeroDivisionError

    async def make() -> int:
        return 7

    failing = asyncio.ensure_future(one.get_or_make("a", fail, ttl=60))
    await begun.wait()
    async with asyncio.timeout(redis_cache.LOCK_SECONDS / 2):
        assert await two.get_or_make("a", make, ttl=60) == 7
    with pytest.raises(ZeroDivisionError):
        await failing


async def test_who_dies_over_a_making_holds_it_for_a_time_only(
    pair: tuple[RedisCache, RedisCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "LOCK_SECONDS", 0.2)
    one, two = pair
    await one._link.run(one._lock, one._keys("a"), [one._link.base, "a", "dead", 200, 1000])

    async def make() -> int:
        return 7

    assert await two.get_or_make("a", make, ttl=60) == 7


@pytest.mark.parametrize("how", ["drop", "drop_tag", "set"])
async def test_what_one_drops_no_other_shows(pair: tuple[RedisCache, RedisCache], how: str) -> None:
    one, two = pair
    await one.set("a", 1, ttl=60, tags=("t",))
    async with asyncio.timeout(PATIENCE):
        while not two.statistics()["hits_near"]:  # once it has heard that the value is new, it keeps it
            assert await two.get("a") == 1
    if how == "drop":
        await one.drop("a")
    elif how == "drop_tag":
        await one.drop_tag("t")
    else:
        await one.set("a", 2, ttl=60)
    async with asyncio.timeout(PATIENCE):
        while await two.get("a") == 1:
            await asyncio.sleep(0.005)
    assert await two.get("a") == (2 if how == "set" else None)


async def test_what_one_drops_while_another_makes_it_is_not_kept(pair: tuple[RedisCache, RedisCache]) -> None:
    one, two = pair
    begun, gate = asyncio.Event(), asyncio.Event()

    async def make() -> int:
        begun.set()
        await gate.wait()
        return 1

    for drop in (one.drop("a"), one.drop_tag("t")):
        begun.clear(), gate.clear()
        making = asyncio.ensure_future(two.get_or_make("a", make, ttl=60, tags=("t",)))
        await begun.wait()
        await drop
        gate.set()
        assert await making == 1
        assert await one.get("a") is None
        assert await two.get("a") is None


@pytest.mark.parametrize("value", [Decimal(1), (1, 2), {1: 2}, object(), {"a": [{"b": {1}}]}, 1 << 70])
async def test_what_redis_would_give_back_as_something_else_is_refused(
    pair: tuple[RedisCache, RedisCache], value: Any
) -> None:
    async def make() -> Any:
        return value

    with pytest.raises(TypeError, match="a value of the cache"):
        await pair[0].set("a", value, ttl=60)
    with pytest.raises(TypeError, match="a value of the cache"):
        await pair[0].get_or_make("a", make, ttl=60)
    assert await pair[1].get("a") is None


async def test_a_value_of_other_tags_is_not_kept_in_the_process(pair: tuple[RedisCache, RedisCache]) -> None:
    one, two = pair

    async def make() -> int:
        return 2

    await one.set("a", 1, ttl=60, tags=("t",))
    assert await two.get_or_make("a", make, ttl=60) == 1
    await one.drop_tag("t")
    async with asyncio.timeout(PATIENCE):
        while await two.get_or_make("a", make, ttl=60) == 1:
            await asyncio.sleep(0.005)


async def test_a_cache_without_room_is_refused() -> None:
    link = link_to()
    with pytest.raises(ValueError, match="size is 0"):
        RedisCache(link, MemoryCache(FixedClock()), FixedClock(), SystemIds(), size=0)
    await link.close()


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    made = OwnRedis(tmp_path)
    await made.start()
    yield made
    await made.kill()


async def test_without_redis_each_process_makes_its_values_and_says_so(own: OwnRedis) -> None:
    recorder = Recorder()
    link = link_to(own.url, part="cache", observer=recorder, timeout=1.0)
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        return made

    async with running(link) as cache:
        assert await cache.get_or_make("a", make, ttl=600) == 1
        await cache.set("b", "old", ttl=600)
        await cache.set("c", "old", ttl=600, tags=("t",))
        await own.kill()
        await until(lambda: not cache._hears)
        assert await cache.get("a") is None
        assert [await cache.get_or_make("a", make, ttl=600) for _ in range(2)] == [2, 3]
        await cache.set("b", "new", ttl=600)
        await cache.drop_tag("t")
        assert await cache.get("b") is None
        assert cache.statistics()["without_redis"] >= 6
        await own.start()
        await until(lambda: cache._hears)
        async with asyncio.timeout(PATIENCE):
            while await cache.get("a") is None:
                await asyncio.sleep(0.05)
        assert await cache.get("a") == 1  # Redis has kept it, and nobody has dropped it
        assert await cache.get("b") is None  # what was dropped meanwhile is not shown
        assert await cache.get("c") is None
        assert await cache.get_or_make("d", make, ttl=600) == 4
    assert [one.event for one in recorder.notices] == ["redis_away", "redis_back"]


async def test_where_too_much_was_dropped_without_redis_all_is_dropped(
    own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "MAX_OWED", 3)
    async with running(link_to(own.url, part="cache", timeout=1.0)) as cache:
        for n in range(1200):
            await cache.set(f"k{n}", n, ttl=600)
        await own.kill()
        for n in range(5):
            await cache.drop(f"k{n}")
        await own.start()
        await until(lambda: cache._hears)
        async with asyncio.timeout(PATIENCE):
            while cache._owed is None:
                await cache.get("k9")
                await asyncio.sleep(0.05)
        assert [await cache.get(f"k{n}") for n in range(1200)] == [None] * 1200


async def test_it_goes_on_under_load_while_redis_is_killed_and_started_again(own: OwnRedis) -> None:
    async with running(link_to(own.url, part="cache", timeout=1.0)) as cache:
        stop, served = asyncio.Event(), 0

        async def make() -> str:
            await asyncio.sleep(0)
            return "value"

        async def caller(number: int) -> None:
            nonlocal served
            while not stop.is_set():
                assert await cache.get_or_make(f"k{served % 50}", make, ttl=600, tags=(f"t{number}",)) == "value"
                served += 1
                if served % 20 == 0:
                    await cache.drop_tag(f"t{number}")
                await asyncio.sleep(0)

        async def more(count: int) -> None:
            wanted = served + count
            await until(lambda: served >= wanted)

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(caller(number))
            await more(200)
            await own.kill()
            await until(lambda: not cache._hears)
            await more(200)
            await own.start()
            await until(lambda: cache._hears)
            await more(200)
            stop.set()
