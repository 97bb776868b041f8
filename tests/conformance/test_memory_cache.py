"""The memory cache does what every cache must."""

from __future__ import annotations

import pytest

from mainstay.adapters.memory.cache import MemoryCache
from mainstay.ports.cache import Cache
from mainstay.testing.conformance.cache import CacheConformance
from mainstay.testing.fixed import FixedClock


class TestMemoryCache(CacheConformance):
    def make_cache(self, clock: FixedClock) -> Cache:
        return MemoryCache(clock, size=self.size)


async def test_the_least_recently_used_value_goes_first() -> None:
    cache = MemoryCache(FixedClock(), size=2)
    await cache.set("a", 1, ttl=10)
    await cache.set("b", 2, ttl=10)
    assert await cache.get("a") == 1
    await cache.set("c", 3, ttl=10)
    assert [await cache.get(key) for key in "abc"] == [1, None, 3]


async def test_counters_of_tags_are_bounded_too() -> None:
    cache = MemoryCache(FixedClock(), size=10)
    await cache.set("a", 1, ttl=10, tags=("x",))
    for n in range(11):
        await cache.drop_tag(f"t{n}")
    assert len(cache._generations) <= 10
    assert await cache.get("a") is None  # given up with the counters, never shown stale
    await cache.set("a", 2, ttl=10, tags=("t3", "x"))
    assert await cache.get("a") == 2
    await cache.drop_tag("t3")
    assert await cache.get("a") is None


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="size is 0"):
        MemoryCache(FixedClock(), size=0)
