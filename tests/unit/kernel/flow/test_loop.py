"""The loop around a step: on at once while there is more, woken, and never ended by what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from flow_world import Talk
from kernel_world import Build, Ear

from mainstay.kernel.flow.loop import Loop


async def looped(step: Callable[[], Any], pause: float = 60.0) -> tuple[Loop, Ear, asyncio.Task[None]]:
    ear = Ear()
    loop = Loop("part", step, ear, lambda: pause)
    return loop, ear, asyncio.create_task(loop.run())


async def test_it_goes_on_while_there_is_more_and_then_waits_until_it_is_woken() -> None:
    left, done = [True, True, False, False], asyncio.Event()
    steps: list[bool] = []

    async def step() -> bool:
        steps.append(left[len(steps)])
        if not steps[-1]:
            done.set()
        return steps[-1]

    loop, _, running = await looped(step)
    async with asyncio.timeout(30):
        await done.wait()
        done.clear()
        await asyncio.sleep(0)
        assert steps == [True, True, False]
        loop.wake()
        await done.wait()
        loop.stop()
        await running


async def test_it_looks_again_though_nobody_wakes_it() -> None:
    looks: list[int] = []

    async def step() -> bool:
        looks.append(1)
        return False

    loop, _, running = await looped(step, 0.001)
    async with asyncio.timeout(30):
        while len(looks) < 3:
            await asyncio.sleep(0.001)
        loop.stop()
        await running


async def test_what_fails_is_said_once_and_tried_again() -> None:
    tries: list[int] = []
    fails = {1, 2, 4}

    async def step() -> bool:
        tries.append(1)
        if len(tries) in fails:
            raise OSError("disk")
        return False

    loop, ear, running = await looped(step, 0.001)
    async with asyncio.timeout(30):
        while len(tries) < 6:
            await asyncio.sleep(0.001)
        loop.stop()
        await running
    assert [notice.event for notice in ear.notices] == ["part_waits"] * 2


async def test_a_loop_that_is_stopped_before_it_began_does_nothing() -> None:
    async def step() -> bool:
        raise AssertionError("it was stopped")

    loop = Loop("part", step, Ear(), lambda: 60.0)
    loop.stop()
    await loop.run()


async def test_a_worker_that_ends_by_itself_says_so(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(Talk().module)
    worker = world.worker()

    async def broken() -> None:
        raise OSError("disk")

    monkeypatch.setattr(worker, "run", broken)
    failed: list[BaseException] = []
    async with worker.running(failed.append):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert [str(error) for error in failed] == ["disk"]
