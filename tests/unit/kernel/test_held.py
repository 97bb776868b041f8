"""In development a transaction that is held open over a wait is told of, with its line."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from kernel_world import Build

from mainstay import Clock, Entity, Module, Repository, anyone
from mainstay.kernel.call import Reply


class Row(Entity):
    number: int


async def outside(log: list[str], fail: bool) -> None:
    log.append("waited")
    await asyncio.sleep(0)
    if fail:
        raise OSError("outside")


def module(log: list[str]) -> Module:
    made = Module("held")

    @made.command("POST /after", allow=anyone)
    async def after(rows: Repository[Row], fail: bool = False) -> None:
        await rows.add(Row(number=1))
        await rows.count()
        await outside(log, fail)

    @made.command("POST /before", allow=anyone)
    async def before(rows: Repository[Row]) -> None:
        await outside(log, False)
        await rows.add(Row(number=1))

    return made


async def run(build: Build, name: str, **body: Any) -> tuple[Any, list[Any]]:
    log: list[str] = []
    world = await build(module(log), held_seconds=-1.0)
    outcome = await world.send(name, body=msgspec.json.encode(body))
    assert log == ["waited"]
    return outcome, world.ear.notices


async def test_a_wait_behind_a_repository_is_told_with_its_line(build: Build) -> None:
    _, (notice, *rest) = await run(build, "after")
    assert rest == []
    assert (notice.level, notice.event) == ("warning", "transaction_held")
    file, _, line = notice.facts["line"].rpartition(":")
    assert file == __file__
    with open(__file__, encoding="utf-8") as source:
        assert "await outside(log, fail)" in source.read().splitlines()[int(line) - 1]


async def test_a_fault_of_the_wait_reaches_the_use_case(build: Build) -> None:
    outcome, notices = await run(build, "after", fail=True)
    assert outcome.code == "internal_error"
    assert [n.event for n in notices] == ["transaction_held"]


async def test_a_wait_before_any_repository_is_fine(build: Build) -> None:
    _, notices = await run(build, "before")
    assert notices == []


async def test_a_short_wait_is_fine(build: Build) -> None:
    world = await build(module([]), held_seconds=60.0)
    await world.send("after", body=b"{}")
    assert world.ear.notices == []


async def test_a_cancelled_wait_reaches_the_use_case_and_is_told(build: Build) -> None:
    made, heard = Module("held"), []
    waiting = asyncio.Event()

    @made.command("POST /slow", allow=anyone)
    async def slow(rows: Repository[Row]) -> None:
        await rows.count()
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("cleaned")

    world = await build(made, held_seconds=-1.0)
    task = asyncio.create_task(world.send("slow"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cleaned"]
    assert [n.event for n in world.ear.notices] == ["transaction_held"]


async def test_a_wait_of_our_own_is_not_told(build: Build) -> None:
    made = Module("held")

    @made.command("POST /ours", allow=anyone)
    async def ours(rows: Repository[Row], clock: Clock) -> int:
        await rows.count()
        await clock.sleep(1.0)
        return 1

    world = await build(made, held_seconds=-1.0)
    outcome = await world.send("ours")
    assert isinstance(outcome, Reply)
    assert world.ear.notices == []
