"""Messages that came just now: they are stored without a look, and run without another one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from flow_world import Talk, drained, inbox, records
from kernel_world import Build
from moody_broker import Moody, emitted, subscribed
from msgspec.structs import replace

from mainstay.kernel.flow import queues, runner, upkeep
from mainstay.kernel.flow.consumers import Consumers
from mainstay.kernel.flow.direct import DirectRuns
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.records import State
from mainstay.kernel.flow.upkeep import LEAST_AGE, Keeping, fresh_for


@pytest.fixture
def broker() -> Moody:
    return Moody()


@pytest.fixture
def stored_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no message run before it is stored."""
    monkeypatch.setattr(DirectRuns, "may_begin", lambda *_: False)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of the inbox and of floors, in order."""
    told: list[str] = []
    floors, ready, put = Consumers.floors, runner.Runner._ready, Filing.put

    async def noted_floors(*given: Any) -> Any:
        told.append("floors")
        return await floors(*given)

    async def noted_ready(*given: Any) -> Any:
        told.append("ready")
        return await ready(*given)

    async def noted_put(*given: Any, look: bool, **more: Any) -> Any:
        told.append("look" if look else "add")
        return await put(*given, look=look, **more)

    monkeypatch.setattr(Consumers, "floors", noted_floors)
    monkeypatch.setattr(runner.Runner, "_ready", noted_ready)
    monkeypatch.setattr(Filing, "put", noted_put)
    return told


@pytest.mark.usefixtures("stored_first")
async def test_a_fresh_message_is_stored_and_run_without_a_read(build: Build, broker: Moody, read: list[str]) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await drained(worker)
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    read.clear()
    await worker._take_in()
    await worker.runner.step()
    await worker.runner.settled()
    assert (talk.heard, read) == ([1], ["add"])
    assert [row.state for row in await inbox(world)] == [State.DONE]


@pytest.mark.usefixtures("stored_first")
async def test_one_that_comes_again_is_looked_for_and_done_once(build: Build, broker: Moody, read: list[str]) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, key=None)
    broker.hand([bodies[0], bodies[0]])
    await drained(worker)
    broker.hand(bodies)
    read.clear()
    await worker._take_in()
    assert read == ["add", "look", "floors"]
    await drained(worker)
    assert await records(world) == [(1, "first"), (2, "first")]


async def test_one_that_may_be_forgotten_is_looked_for(build: Build, broker: Moody, read: list[str]) -> None:
    world, worker = await subscribed(build, Talk(), broker)
    bodies = await emitted(world, worker, broker, 1, key=None)
    world.clock.advance(LEAST_AGE / 2)
    broker.hand(bodies)
    read.clear()
    await worker._take_in()
    assert read == ["look", "floors"]


@pytest.mark.usefixtures("stored_first")
async def test_what_is_carried_out_late_is_not_begun(build: Build, broker: Moody, monkeypatch: Any) -> None:
    world, worker = await subscribed(build, Talk(), broker)
    begun: list[Any] = []
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        begun.append(given.get("deadline"))
        return whole(**given)

    broker.hand(await emitted(world, worker, broker, 1, key=None))
    monkeypatch.setattr(world.store, "begin", begin)
    await worker._take_in()
    assert begun == [world.clock.monotonic() + 10]


@pytest.mark.parametrize(
    ("keeping", "told"),
    [
        (Keeping(), timedelta(minutes=30)),
        (Keeping(timedelta(minutes=10)), timedelta(minutes=5)),
        (Keeping(timedelta(seconds=59)), timedelta()),
    ],
)
def test_messages_are_fresh_for_half_of_what_is_kept_at_least(keeping: Keeping, told: timedelta) -> None:
    assert fresh_for(keeping) == told
    assert told <= upkeep.LEAST_AGE / 2


async def test_those_that_have_no_room_are_read_later(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    monkeypatch.setattr(queues, "BATCH", 2)
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    broker.hand(await emitted(world, worker, broker, 1, 2, 3, 4, 5, key=None))
    await drained(worker)
    assert sorted(talk.heard) == [1, 2, 3, 4, 5]
    assert "ready" in read


@pytest.mark.usefixtures("stored_first")
async def test_one_that_was_read_before_it_was_offered_runs_once(build: Build, broker: Moody) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world, worker = await subscribed(build, talk, broker)
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    (row,) = await inbox(world)
    await worker.runner.step()
    worker.runner.offer([row])
    go.set()
    await worker.runner.settled()
    worker.runner.offer([row])  # it has ended since the last read began
    await drained(worker)
    assert talk.heard == [1]
    assert worker.counters.of("first").failed == 0


async def test_what_is_offered_while_it_is_judged_runs_once(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    worker.runner.look_everywhere()
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    judge = worker.runner._judge.judge

    async def judged(transaction: Any, queue: Any, rows: Any, now: Any) -> Any:
        worker.runner.offer(rows)
        return await judge(transaction, queue, rows, now)

    monkeypatch.setattr(worker.runner._judge, "judge", judged)
    await drained(worker)
    assert talk.heard == [1]
    assert worker.counters.of("first").failed == 0


async def test_a_word_that_comes_while_messages_are_read_is_heeded(build: Build, broker: Moody) -> None:
    _, worker = await subscribed(build, Talk(), broker)
    queue = worker.runner._queues["first"]

    class Told:
        """A transaction in which nothing is found, and meanwhile something is stored."""

        def rows(self, _: Any) -> Told:
            return self

        async def fetch(self, _: Any) -> list[Any]:
            queue.look = True
            return []

    await worker.runner._ready(Told(), queue, range(16))
    assert queue.look


async def test_a_word_that_comes_before_the_messages_of_a_read_is_heeded(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, worker = await subscribed(build, Talk(), broker)
    await drained(worker)
    queue, delayed = worker.runner._queues["first"], worker.runner._delayed

    async def told(*given: Any) -> Any:
        found = await delayed(*given)  # of which moment all that is read is, and behind it something is stored
        worker.runner.look(["first"])
        return found

    monkeypatch.setattr(worker.runner, "_delayed", told)
    worker.runner.look_everywhere()
    await worker.runner.step()
    assert queue.look


async def test_what_is_paused_is_not_begun_though_it_is_offered(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await drained(worker)
    worker.known._states = {"first": replace(worker.known._states["first"], paused=True)}
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    await worker.runner.step()
    assert (talk.heard, len(worker.runner._queues["first"])) == ([], 0)
