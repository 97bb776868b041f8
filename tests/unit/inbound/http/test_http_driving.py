"""Driving a call without a Task until it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from mainstay.inbound.http.drive import drive
from mainstay.kernel.call import Call, Reply

Run = Callable[[Any], Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function on either loop."""

    def running(function: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(function())

    return running


def call(*, inline: bool = True, deadline: float = 30.0) -> Call:
    return Call(operation=SimpleNamespace(inline=inline, deadline=deadline))  # type: ignore[arg-type]  # what drive reads


def begun(use: Any, one: Call) -> Any:
    def until(_: Any, task: asyncio.Task[Any], timer: asyncio.TimerHandle) -> None:
        task.add_done_callback(lambda _: timer.cancel())

    return drive(use, one, time.monotonic(), asyncio.get_running_loop(), until)


def test_a_call_that_never_waits_needs_no_task(run: Run) -> None:
    async def use(_: Call) -> Reply:
        assert asyncio.current_task() is outer
        return Reply(body=b"1")

    async def main() -> None:
        nonlocal outer
        outer = asyncio.current_task()
        assert begun(use, call()).body == b"1"

    outer: Any = None
    run(main)


@pytest.mark.parametrize("inline", [True, False])
def test_a_call_that_waits_goes_on_in_a_task(run: Run, inline: bool) -> None:
    async def use(one: Call) -> Reply:
        first = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, first.set_result, "a")
        said = [await first]
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        broken = asyncio.get_running_loop().create_future()
        broken.set_exception(KeyError("b"))
        try:
            await broken
        except KeyError:
            said.append("b")
        async with asyncio.timeout(5):
            said.append(await asyncio.wait_for(asyncio.sleep(0.001, "c"), 1))
        return Reply(body="".join(said).encode())

    async def main() -> None:
        task = begun(use, call(inline=inline))
        assert isinstance(task, asyncio.Task)
        assert (await task).body == b"abc"

    run(main)


def test_what_is_awaited_first_may_fail(run: Run) -> None:
    async def use(_: Call) -> Reply:
        first = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(first.set_exception, KeyError("gone"))
        try:
            await first
        except KeyError:
            return Reply(body=b"caught")
        raise AssertionError

    async def main() -> None:
        assert (await begun(use, call())).body == b"caught"

    run(main)


def test_a_future_that_is_done_before_the_task_looks(run: Run) -> None:
    async def use(_: Call) -> Reply:
        await first
        return Reply(body=b"1")

    async def main() -> None:
        nonlocal first
        first = asyncio.get_running_loop().create_future()
        task = begun(use, call())
        first.set_result(None)
        assert (await task).body == b"1"

    first: Any = None
    run(main)


@pytest.mark.parametrize(("inline", "pause"), [(True, None), (True, 0.0), (True, 0.005), (False, 0.005)])
def test_a_cancellation_reaches_a_call_that_has_begun(run: Run, inline: bool, pause: float | None) -> None:
    seen: list[str] = []

    async def use(_: Call) -> Reply:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return Reply()

    async def main() -> None:
        task = begun(use, call(inline=inline))
        if pause is not None:
            await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert seen == ["cancelled"]


@pytest.mark.parametrize("inline", [True, False])
def test_the_deadline_has_passed_when_it_cancels(run: Run, inline: bool) -> None:
    one = call(inline=inline, deadline=0.01)

    async def use(_: Call) -> Reply:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            assert one.deadline is not None
            assert time.monotonic() >= one.deadline
            return Reply(body=b"late")
        raise AssertionError

    async def main() -> None:
        assert (await begun(use, one)).body == b"late"

    run(main)


def test_a_commit_that_has_begun_is_not_cancelled(run: Run) -> None:
    one = call(deadline=0.01)

    async def use(_: Call) -> Reply:
        one.committing = True
        await asyncio.sleep(0.05)
        return Reply(body=b"committed")

    async def main() -> None:
        assert (await begun(use, one)).body == b"committed"

    run(main)


def test_an_exception_of_the_first_step_is_raised_at_once(run: Run) -> None:
    async def use(_: Call) -> Reply:
        raise KeyError("now")

    async def main() -> None:
        with pytest.raises(KeyError):
            begun(use, call())

    run(main)
