"""A cache: bounded, timed, tagged, with one making for all who ask at once."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from mainstay.ports.cache import Cache
from mainstay.testing.fixed import FixedClock


class CacheConformance:
    """Every adapter of the cache port. ``make_cache`` is given the clock whose time the cache goes by."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio
    size = 100
    """How many values the cache under test holds."""

    def make_cache(self, clock: FixedClock) -> Cache:
        """Return an empty cache of ``size`` values: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a cache is made (by {clock}): give it make_cache")

    async def pass_time(self, clock: FixedClock, seconds: float) -> None:
        """Let time pass for the cache; one with a clock of its own waits."""
        clock.advance(seconds)

    @pytest.fixture
    def clock(self) -> FixedClock:
        """The time of the cache."""
        return FixedClock()

    @pytest_asyncio.fixture
    async def cache(self, clock: FixedClock) -> Cache:
        """An empty cache."""
        return self.make_cache(clock)

    async def test_a_value_is_kept_for_its_time(self, cache: Cache, clock: FixedClock) -> None:
        assert await cache.get("a") is None
        await cache.set("a", {"x": 1}, ttl=10)
        await cache.set("b", 2, ttl=1)
        assert await cache.get("a") == {"x": 1}
        await self.pass_time(clock, 2)
        assert await cache.get("b") is None
        assert await cache.get("a") == {"x": 1}
        await self.pass_time(clock, 9)
        assert await cache.get("a") is None

    async def test_a_later_value_takes_the_place_of_an_earlier_one(self, cache: Cache, clock: FixedClock) -> None:
        await cache.set("a", 1, ttl=1)
        await cache.set("a", 2, ttl=100)
        await self.pass_time(clock, 2)
        assert await cache.get("a") == 2
        await cache.set("a", 3, ttl=0)
        assert await cache.get("a") is None

    async def test_a_value_can_be_dropped(self, cache: Cache) -> None:
        await cache.set("a", 1, ttl=10)
        await cache.drop("a")
        await cache.drop("never there")
        assert await cache.get("a") is None

    async def test_a_tag_drops_what_was_kept_under_it(self, cache: Cache) -> None:
        await cache.set("a", 1, ttl=10, tags=("x",))
        await cache.set("b", 2, ttl=10, tags=("x", "y"))
        await cache.set("c", 3, ttl=10, tags=("y",))
        await cache.set("d", 4, ttl=10)
        await cache.drop_tag("x")
        assert [await cache.get(key) for key in "abcd"] == [None, None, 3, 4]
        await cache.set("a", 5, ttl=10, tags=("x",))
        assert await cache.get("a") == 5
        await cache.drop_tag("never used")
        assert await cache.get("a") == 5

    async def test_it_never_holds_more_than_it_may(self, cache: Cache) -> None:
        for n in range(3 * self.size):
            await cache.set(f"k{n}", n, ttl=1000, tags=(f"t{n}",))
        kept = [n for n in range(3 * self.size) if await cache.get(f"k{n}") is not None]
        assert 0 < len(kept) <= self.size
        for n in range(3 * self.size):
            await cache.drop_tag(f"t{n}")
        assert all([await cache.get(f"k{n}") is None for n in range(3 * self.size)])

    async def test_a_value_is_made_once_for_all_who_ask_at_the_same_time(self, cache: Cache) -> None:
        made = 0
        begun, gate = asyncio.Event(), asyncio.Event()

        async def make() -> int:
            nonlocal made
            begun.set()
            made += 1
            await gate.wait()
            return made

        asking = [asyncio.create_task(cache.get_or_make("a", make, ttl=10)) for _ in range(20)]
        await begun.wait()
        gate.set()
        assert await asyncio.gather(*asking) == [1] * 20
        assert await cache.get_or_make("a", make, ttl=10) == 1
        assert await cache.get("a") == 1

    async def test_keys_are_made_side_by_side(self, cache: Cache) -> None:
        met = asyncio.Barrier(2)

        async def make() -> str:
            await met.wait()
            return "made"

        async with asyncio.timeout(5):
            assert await asyncio.gather(*(cache.get_or_make(key, make, ttl=10) for key in "ab")) == ["made"] * 2

    async def test_a_making_that_fails_is_told_to_those_who_waited_and_forgotten(self, cache: Cache) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def fail() -> int:
            begun.set()
            await gate.wait()
            raise ZeroDivisionError("no value")

        async def make() -> int:
            return 7

        asking = [asyncio.create_task(cache.get_or_make("a", fail, ttl=10)) for _ in range(3)]
        await begun.wait()
        gate.set()
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in told] == [ZeroDivisionError] * 3
        assert await cache.get("a") is None
        assert await cache.get_or_make("a", make, ttl=10) == 7

    async def test_one_who_leaves_does_not_stop_the_making_for_the_others(self, cache: Cache) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()
        made = 0

        async def make() -> int:
            nonlocal made
            begun.set()
            await gate.wait()
            made += 1
            return made

        first = asyncio.create_task(cache.get_or_make("a", make, ttl=10))
        second = asyncio.create_task(cache.get_or_make("a", make, ttl=10))
        await begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert await second == 1

    async def test_a_making_that_all_have_left_does_not_hold_the_key(self, cache: Cache) -> None:
        begun = asyncio.Event()

        async def hang() -> Any:
            begun.set()
            await asyncio.Event().wait()

        async def make() -> int:
            return 7

        alone = asyncio.create_task(cache.get_or_make("a", hang, ttl=10))
        await begun.wait()
        alone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await alone
        async with asyncio.timeout(5):
            assert await cache.get_or_make("a", make, ttl=10) == 7

    @pytest.mark.parametrize("by", ["key", "tag"])
    async def test_what_is_dropped_while_it_is_made_is_not_kept(self, cache: Cache, by: str) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()
        values = iter([1, 2])

        async def make() -> int:
            begun.set()
            value = next(values)
            if value == 1:
                await gate.wait()
            return value

        early = asyncio.create_task(cache.get_or_make("a", make, ttl=10, tags=("x",)))
        await begun.wait()
        await (cache.drop("a") if by == "key" else cache.drop_tag("x"))
        late = asyncio.create_task(cache.get_or_make("b" if by == "tag" else "a", make, ttl=10, tags=("x",)))
        assert await late == 2
        gate.set()
        assert await early == 1
        assert await cache.get("a") == (None if by == "tag" else 2)

    async def test_none_is_a_value_that_can_be_made(self, cache: Cache) -> None:
        made = 0

        async def make() -> int | None:
            nonlocal made
            made += 1
            return None

        for _ in range(3):
            assert await cache.get_or_make("a", make, ttl=10) is None
        assert made == 1

    async def test_what_was_made_runs_out(self, cache: Cache, clock: FixedClock) -> None:
        values = iter([1, 2])

        async def make() -> int:
            return next(values)

        assert await cache.get_or_make("a", make, ttl=5) == 1
        await self.pass_time(clock, 6)
        assert await cache.get_or_make("a", make, ttl=5) == 2
