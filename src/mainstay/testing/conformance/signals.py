"""Signals: told to who listens now, to nobody else, and never at the cost of who tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4

import pytest
import pytest_asyncio

from mainstay.ports.signals import MAX_BYTES, MAX_WAITING, Listening, Signals

PATIENCE = 30.0  # seconds: the machine may be busy
QUIET = 0.2  # seconds without a signal after which none is expected


async def heard(listening: Listening, count: int) -> list[Any]:
    """Return the next so many values."""
    async with asyncio.timeout(PATIENCE):
        return [await anext(listening) for _ in range(count)]


async def nothing(listening: Listening) -> None:
    """See that nothing is heard."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET):
            await anext(listening)


class SignalsConformance:
    """Every adapter of the port. ``opened`` makes one; each of a test is another process on the same server."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio
    between_processes = False
    """Whether another one hears it too."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Signals]:
        """Give signals that are ready: a subclass says how they are made."""
        raise TypeError(f"{type(self).__name__} does not say how signals are made: give it opened")
        yield

    @pytest.fixture
    def topic(self) -> str:
        """A topic of the test's own."""
        return f"t{uuid4().hex}"

    @pytest_asyncio.fixture
    async def signals(self) -> AsyncIterator[Signals]:
        """Signals that are ready."""
        async with self.opened() as made:
            yield made

    async def test_who_listens_is_told_what_is_published_in_its_order(self, signals: Signals, topic: str) -> None:
        async with signals.subscribe(topic) as listening:
            for number in range(50):
                await signals.publish(topic, number)
            assert await heard(listening, 50) == list(range(50))
            await nothing(listening)

    async def test_a_value_comes_as_json_has_it(self, signals: Signals, topic: str) -> None:
        values: list[Any] = [None, True, 1, 1.5, "ä€", [1, [2]], {"a": {"b": []}}, Decimal("1.10")]
        async with signals.subscribe(topic) as listening:
            for value in values:
                await signals.publish(topic, value)
            assert await heard(listening, len(values)) == [*values[:-1], "1.10"]

    async def test_each_listener_is_told(self, signals: Signals, topic: str) -> None:
        async with signals.subscribe(topic) as one, signals.subscribe(topic) as two:
            await signals.publish(topic, "x")
            assert [await heard(one, 1), await heard(two, 1)] == [["x"], ["x"]]

    async def test_topics_are_apart(self, signals: Signals, topic: str) -> None:
        async with signals.subscribe(topic) as listening, signals.subscribe(f"{topic}2") as other:
            await signals.publish(f"{topic}2", "x")
            assert await heard(other, 1) == ["x"]
            await nothing(listening)

    async def test_what_nobody_listens_to_is_lost(self, signals: Signals, topic: str) -> None:
        await signals.publish(topic, "before")
        async with signals.subscribe(topic) as listening:
            await signals.publish(topic, "within")
            assert await heard(listening, 1) == ["within"]
        await signals.publish(topic, "behind")
        async with signals.subscribe(topic) as listening:
            await nothing(listening)

    async def test_one_who_leaves_does_not_take_the_others_along(self, signals: Signals, topic: str) -> None:
        async with signals.subscribe(topic) as stays:
            async with signals.subscribe(topic):
                pass
            await signals.publish(topic, "x")
            assert await heard(stays, 1) == ["x"]

    async def test_who_is_too_slow_loses_the_oldest_and_is_told_how_many(self, signals: Signals, topic: str) -> None:
        async with signals.subscribe(topic) as slow, signals.subscribe(f"{topic}end") as end:
            for number in range(MAX_WAITING + 10):
                await signals.publish(topic, number)
            await signals.publish(f"{topic}end", "all")
            assert await heard(end, 1) == ["all"]
            assert await heard(slow, MAX_WAITING) == list(range(10, MAX_WAITING + 10))
            assert slow.lost == 10

    async def test_what_cannot_be_told_is_refused(self, signals: Signals, topic: str) -> None:
        with pytest.raises(ValueError, match="bytes as JSON"):
            await signals.publish(topic, "x" * MAX_BYTES)
        with pytest.raises(TypeError):
            await signals.publish(topic, object())
        for wrong in ("", "a b", "ä", "x" * 201):
            with pytest.raises(ValueError, match="topic"):
                await signals.publish(wrong, 1)
            with pytest.raises(ValueError, match="topic"):
                async with signals.subscribe(wrong):
                    pass

    async def test_another_process_hears_it_where_there_is_a_way(self, signals: Signals, topic: str) -> None:
        async with self.opened() as other, other.subscribe(topic) as listening:
            await signals.publish(topic, "x")
            if self.between_processes:
                assert await heard(listening, 1) == ["x"]
            else:
                await nothing(listening)
