"""Calls that keep meeting each other take turns, for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kernel_world import Build

from mainstay import Module, anyone
from mainstay.kernel.call import Reply
from mainstay.kernel.flow.contention import WINDOW, Contention
from mainstay.model.problem import SerializationConflict
from mainstay.testing.fixed import FixedClock


def test_it_stands_for_a_while_after_each_conflict() -> None:
    clock = FixedClock()
    contention = Contention(clock)
    assert not contention.stands
    contention.met()
    clock.advance(WINDOW / 2)
    assert contention.stands
    contention.met()
    clock.advance(WINDOW * 0.9)
    assert contention.stands
    clock.advance(WINDOW)
    assert not contention.stands


async def test_turns_are_taken_in_order() -> None:
    contention, order = Contention(FixedClock()), []

    async def take(number: int) -> None:
        async with contention.turn:
            order.append((number, "begins"))
            await asyncio.sleep(0)
            order.append((number, "ends"))

    await asyncio.gather(*(take(number) for number in range(3)))
    assert order == [(number, what) for number in range(3) for what in ("begins", "ends")]


@pytest.mark.parametrize("conflicts", [0, 1])
async def test_calls_of_a_contended_operation_run_one_after_another(build: Build, conflicts: int) -> None:
    module, state = Module("m"), {"inside": 0, "most": 0, "conflicts": conflicts}

    @module.command("POST /a", allow=anyone)
    async def change() -> int:
        if state["conflicts"]:
            state["conflicts"] -= 1
            raise SerializationConflict
        state["inside"] += 1
        state["most"] = max(state["most"], state["inside"])
        for _ in range(5):
            await asyncio.sleep(0)
        state["inside"] -= 1
        return 1

    world: Any = await build(module)
    first = await world.send("change", idempotency_key="first")
    told = await asyncio.gather(*(world.send("change", idempotency_key=f"{n}") for n in range(4)))
    assert all(isinstance(reply, Reply) for reply in (first, *told))
    assert state["most"] == (1 if conflicts else 4)
