"""The deterministic loop: virtual time, chance between processes and order within them, kills, stalls, nothing real."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from mainstay.testing.simulation import loop as module
from mainstay.testing.simulation.loop import ProcessEnded, SimulatedLoop, SimulationStuck, simulated_loop


def run(main: Callable[[SimulatedLoop], Coroutine[Any, Any, Any]], seed: int = 1) -> Any:
    loop = simulated_loop(seed)
    try:
        return loop.run(main(loop))
    finally:
        assert loop.complaints == []


def order_of(seed: int) -> tuple[list[str], int]:
    """Return the order in which three processes have taken their steps, and the digest of the run."""
    order: list[str] = []

    async def walk(name: str) -> None:
        for number in range(5):
            order.append(f"{name}{number}")
            await asyncio.sleep(0)

    async def main() -> None:
        tasks = [loop.spawn(loop.process(name), walk(name)) for name in "abc"]
        await asyncio.gather(*tasks)

    loop = simulated_loop(seed)
    loop.run(main())
    return order, loop.digest


def test_a_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert order_of(7) == order_of(7)
    assert len({tuple(order_of(seed)[0]) for seed in range(20)}) > 15
    assert len({order_of(seed)[1] for seed in range(20)}) > 15


def test_the_steps_of_one_process_are_in_order() -> None:
    for seed in range(20):
        order = order_of(seed)[0]
        for name in "abc":
            assert [step for step in order if step.startswith(name)] == [f"{name}{n}" for n in range(5)]


def test_time_is_virtual_and_stands_while_there_is_something_to_do() -> None:
    async def main(loop: SimulatedLoop) -> None:
        begun = loop.time()
        for _ in range(100):
            await asyncio.sleep(0)
        assert loop.time() == begun
        await asyncio.gather(*(asyncio.sleep(3600 * n) for n in range(4)))
        assert loop.time() == begun + 3 * 3600
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        assert loop.time() == begun + 3 * 3600 + 5

    run(main)


def test_what_tasks_are_made_of_works() -> None:
    async def main(loop: SimulatedLoop) -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        lock, found = asyncio.Lock(), list[int]()

        async def give(number: int) -> None:
            async with lock:
                await asyncio.sleep(0.1)
            await queue.put(number)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(give(number))
            found += [await queue.get() for _ in range(5)]
        late = asyncio.ensure_future(asyncio.sleep(60))
        done, waiting = await asyncio.wait({late}, timeout=1)
        assert (done, waiting) == (set(), {late})
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        return sorted(found)

    assert run(main) == [0, 1, 2, 3, 4]


def test_a_killed_process_takes_no_step_more_and_its_last_blocks_reach_nobody() -> None:
    done: list[str] = []

    async def main(loop: SimulatedLoop) -> None:
        victim = loop.process("victim")

        async def ask() -> None:
            if not victim.alive:
                raise ProcessEnded
            done.append("asked")

        async def live() -> None:
            child = asyncio.ensure_future(grow())
            try:
                await asyncio.sleep(10)
                done.append("lived")
            finally:
                await ask()
                done.append("finally")
                await child

        async def grow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                with pytest.raises(ProcessEnded):
                    await ask()
                await asyncio.sleep(1)

        loop.spawn(victim, live())
        await asyncio.sleep(5)
        loop.kill(victim)
        loop.kill(victim)
        assert not victim.alive
        await asyncio.sleep(100)

    run(main)
    assert done == []


def test_a_process_may_be_killed_from_within() -> None:
    done: list[str] = []

    async def main(loop: SimulatedLoop) -> None:
        victim = loop.process("victim")

        async def live() -> None:
            assert loop.current() is victim
            loop.kill(loop.current())
            await asyncio.sleep(0)
            done.append("lived")

        loop.spawn(victim, live())
        await asyncio.sleep(1)
        assert loop.current() is loop.outside

    run(main)
    assert done == []


def test_a_process_that_stands_still_goes_on_where_it_was() -> None:
    async def main(loop: SimulatedLoop) -> list[float]:
        slow, ticks = loop.process("slow"), list[float]()

        async def tick() -> None:
            for _ in range(4):
                await asyncio.sleep(1)
                ticks.append(loop.time())

        task = loop.spawn(slow, tick())
        await asyncio.sleep(1.5)
        loop.stall(slow, 10)
        loop.stall(slow, 20)  # it stands already
        await task
        return ticks

    assert run(main) == [1.0, 11.5, 12.5, 13.5]


def test_what_a_kill_leaves_waiting_on_and_on_is_told() -> None:
    async def live() -> None:
        for _ in range(50):
            with suppress(ProcessEnded):
                await asyncio.sleep(1)

    life = live()

    async def main(loop: SimulatedLoop) -> None:
        victim = loop.process("victim")
        loop.spawn(victim, life)
        await asyncio.sleep(5)
        loop.kill(victim)
        await asyncio.sleep(5)

    with pytest.raises(SimulationStuck, match="waits on and on"):
        run(main)
    life.close()


def test_a_run_without_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(loop: SimulatedLoop) -> None:
        while True:
            await asyncio.sleep(0)

    async def slowly(loop: SimulatedLoop) -> None:
        while True:
            await asyncio.sleep(1)

    async def never(loop: SimulatedLoop) -> None:
        await loop.create_future()

    monkeypatch.setattr(module, "MOST_AT_ONCE", 1000)
    with pytest.raises(SimulationStuck, match=r"no end after 1001 steps, 0\.000 s"):
        run(forever)
    monkeypatch.setattr(module, "MOST_STEPS", 3000)
    with pytest.raises(SimulationStuck, match="no end after 3001 steps"):
        run(slowly)
    with pytest.raises(SimulationStuck, match="nobody has anything left to do"):
        run(never)


def test_what_nobody_caught_is_kept() -> None:
    async def fail() -> None:
        raise KeyError("lost")

    async def main(loop: SimulatedLoop) -> None:
        asyncio.ensure_future(fail())  # noqa: RUF006 - nobody looks at it
        await asyncio.sleep(1)

    loop = simulated_loop(1)
    loop.run(main(loop))
    import gc

    gc.collect()
    assert [text for text in loop.complaints if "KeyError('lost')" in text]


def test_there_is_no_thread_and_no_input_or_output() -> None:
    async def main(loop: SimulatedLoop) -> None:
        with pytest.raises(NotImplementedError):
            await asyncio.to_thread(print)
        with pytest.raises(NotImplementedError):
            loop.call_soon_threadsafe(print)
        with pytest.raises(NotImplementedError):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(NotImplementedError):
            await asyncio.create_subprocess_exec("true")
        with socket.socket() as one, pytest.raises(NotImplementedError):
            loop.add_reader(one, print)

    run(main)


def test_it_runs_in_no_other_loop() -> None:
    async def nothing() -> None: ...

    async def outer() -> None:
        work = nothing()
        with pytest.raises(RuntimeError, match="runs already"):
            simulated_loop(2).run(work)
        work.close()

    simulated_loop(1).run(outer())
