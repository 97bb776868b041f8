"""Commands that met a conflict stand in line for their next attempt; others never wait."""

from __future__ import annotations

import asyncio

from mainstay.ports.again import Line


async def test_second_attempts_run_one_at_a_time() -> None:
    line, inside, most = Line(), 0, 0

    async def command(conflicts: int) -> None:
        nonlocal inside, most
        for attempt in range(conflicts + 1):
            held = await line.enter()
            assert held == (attempt > 0)
            inside += held
            most = max(most, inside)
            await asyncio.sleep(0)
            if attempt < conflicts:
                line.met()
            inside -= held
            if held:
                line.leave()

    await asyncio.wait_for(asyncio.gather(*(command(n % 3) for n in range(9))), 5)
    assert (inside, most) == (0, 1)


async def test_who_met_nothing_does_not_wait_for_who_did() -> None:
    line = Line()
    line.met()
    assert await line.enter()
    assert not await line.enter()  # the conflict counts once
    assert not await asyncio.wait_for(asyncio.create_task(line.enter()), 5)
    line.leave()
