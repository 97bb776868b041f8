"""A body that is taken part by part, with its reader ahead of it and behind it."""

from __future__ import annotations

import asyncio

import pytest

from mainstay.inbound.http.body import WINDOW, Inflow
from mainstay.inbound.http.problems import ReadTimeout
from mainstay.model.problem import TooLarge


async def test_parts_come_as_they_are_fed_and_end_with_the_body() -> None:
    inflow = Inflow(100, window=10)
    taken: list[bytes] = []

    async def read() -> None:
        nonlocal taken
        async for part in inflow.parts():
            taken += [part]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    inflow.feed(b"one")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert taken == [b"one"]
    inflow.feed(b"two")
    inflow.feed(b"three")
    inflow.finish()
    await reader
    assert taken == [b"one", b"twothree"]


async def test_a_reader_that_is_behind_makes_it_full_and_one_that_catches_up_makes_room() -> None:
    inflow = Inflow(100, window=4)
    told: list[str] = []
    inflow.room = lambda: told.append("room")
    inflow.feed(b"1234")
    assert not inflow.full
    inflow.feed(b"5")
    assert inflow.full
    assert told == []
    parts = inflow.parts()
    assert await anext(parts) == b"12345"
    assert not inflow.full
    assert told == ["room"]
    inflow.feed(b"67")
    assert await anext(parts) == b"67"
    assert told == ["room"], "it was not full"


async def test_a_body_without_a_window_can_be_taken_in_parts_too() -> None:
    inflow = Inflow(1 << 20)
    inflow.feed(b"x" * WINDOW)
    inflow.feed(b"y")
    assert not inflow.full, "it holds all that it may until it is taken in parts"
    parts = inflow.parts()
    assert len(await anext(parts)) == WINDOW + 1
    inflow.feed(b"x" * (WINDOW + 1))
    assert inflow.full


async def test_a_body_with_a_window_can_be_read_whole() -> None:
    inflow = Inflow(100, window=2)
    reading = asyncio.create_task(inflow.read())
    for _ in range(5):
        inflow.feed(b"abc")
        await asyncio.sleep(0)
    inflow.finish()
    assert await reading == b"abc" * 5


@pytest.mark.parametrize("waits", [False, True])
async def test_what_is_wrong_is_raised_to_the_reader(waits: bool) -> None:
    inflow = Inflow(100, window=10)
    parts = inflow.parts()
    inflow.feed(b"one")
    assert await anext(parts) == b"one"
    waiting = asyncio.ensure_future(anext(parts)) if waits else None
    await asyncio.sleep(0)
    inflow.fail(ReadTimeout("late"))
    with pytest.raises(ReadTimeout):
        await (waiting or anext(parts))


async def test_a_body_over_its_bound_is_refused_in_the_midst_of_it() -> None:
    inflow = Inflow(5, window=10)
    parts = inflow.parts()
    inflow.feed(b"123")
    assert await anext(parts) == b"123"
    inflow.feed(b"456")
    with pytest.raises(TooLarge):
        await anext(parts)


async def test_what_is_dropped_is_kept_no_more_and_is_never_full() -> None:
    inflow = Inflow(100, window=2)
    told: list[str] = []
    inflow.room = lambda: told.append("room")
    inflow.feed(b"abc")
    inflow.drop()
    assert told == ["room"]
    inflow.feed(b"abcdef")
    assert not inflow.full
    assert inflow.size == 9


async def test_the_client_is_asked_to_go_on_before_the_first_wait_only() -> None:
    inflow = Inflow(100, window=10)
    asked: list[str] = []

    def ask() -> None:
        asked.append("continue")
        inflow.wanted = None
        inflow.feed(b"one")
        inflow.finish()

    inflow.wanted = ask
    assert [part async for part in inflow.parts()] == [b"one"]
    assert asked == ["continue"]
