"""What the broker has confirmed is removed beside everything else, once, and as often as it takes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from flow_world import Talk, drained, failing, rows_of, say
from kernel_world import Build, World
from moody_broker import Moody, notices, subscribed

from mainstay.kernel.flow import hand
from mainstay.kernel.flow.records import OutboxMessage
from mainstay.model.problem import SerializationConflict


@pytest.fixture
def broker() -> Moody:
    return Moody()


async def published(build: Build, broker: Moody, *numbers: int) -> tuple[Talk, World, Any]:
    """Return a world in which the broker has confirmed messages that are still to be removed."""
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    for number in numbers:
        await say(world, number, key="k")
        await worker.relay.step()
    return talk, world, worker


async def test_several_batches_share_a_removal_and_are_published_once(build: Build, broker: Moody) -> None:
    talk, world, worker = await published(build, broker, 1, 2, 3)
    assert (len(broker.published), len(worker.hand), worker.counters.relayed) == (3, 3, 0)
    assert len(await rows_of(world, OutboxMessage)) == 3
    assert await worker.hand.gathered() is False
    assert (len(worker.hand), worker.counters.relayed) == (0, 3)
    assert await rows_of(world, OutboxMessage) == []
    assert await worker.hand.gathered() is False
    await drained(worker)
    assert talk.heard == [1, 2, 3]


async def test_a_removal_that_fails_is_tried_again_and_nothing_is_published_twice(build: Build, broker: Moody) -> None:
    talk, world, worker = await published(build, broker, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, OSError("disk")))
        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                await worker.hand.step()
    await worker.relay.step()
    await drained(worker)
    assert (talk.heard, len(broker.published), worker.counters.relayed) == ([1], 1, 1)


async def test_what_a_process_that_ends_owes_is_published_again_and_done_once(build: Build, broker: Moody) -> None:
    talk, world, worker = await published(build, broker, 1)
    await drained(world.worker())
    assert (talk.heard, len(broker.published)) == ([1], 2)
    await drained(worker)
    assert (len(worker.hand), await rows_of(world, OutboxMessage)) == (0, [])
    assert talk.heard == [1]


async def test_a_removal_that_meets_another_is_done_again(build: Build, broker: Moody) -> None:
    _, world, worker = await published(build, broker, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, SerializationConflict()))
        assert await worker.hand.step() is True
    assert (worker.counters.conflicts, worker.counters.relayed, len(worker.hand)) == (1, 0, 1)
    assert await worker.hand.step() is False


async def test_only_so_much_may_be_owed(build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "MOST_OWED", 2)
    talk, _, worker = await published(build, broker, 1, 2, 3)
    assert len(broker.published) == 2
    room: list[str] = []
    worker.hand.listen(lambda: None, lambda: room.append("there is room"))
    await worker.hand.step()
    assert room == ["there is room"]
    await worker.relay.step()
    await worker.hand.step()
    assert room == ["there is room"]
    await drained(worker)
    assert talk.heard == [1, 2, 3]


@pytest.mark.parametrize(("most", "size"), [(None, hand.MOST_OWED), (25, 12), (1, 1), (10**6, hand.MOST_OWED)])
async def test_no_more_is_removed_at_once_than_the_store_takes(
    build: Build, broker: Moody, most: int | None, size: int
) -> None:
    _, world, _ = await published(build, broker)
    ports: Any = world.bound.ports
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.store), "capabilities", type("Few", (), {"max_writes": most})())
        assert hand.removable(ports) == size


async def test_what_is_too_much_for_one_removal_takes_several(build: Build, broker: Moody) -> None:
    _, world, worker = await published(build, broker, 1, 2, 3)
    worker.hand._size = 1
    assert await worker.hand.step() is True
    assert len(worker.hand) == 2
    await worker.hand.emptied(30)
    assert await rows_of(world, OutboxMessage) == []


async def test_few_wait_for_more_and_many_do_not(build: Build, broker: Moody) -> None:
    _, world, worker = await published(build, broker, 1)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    world.clock.sleep = sleep  # type: ignore[method-assign]  # of this test's clock only
    await worker.hand.gathered()
    worker.hand.owe([UUID(int=number) for number in range(hand.ENOUGH)])
    await worker.hand.gathered()
    assert slept == [hand.GATHER]


async def test_what_cannot_be_removed_at_a_stop_is_told_and_left(build: Build, broker: Moody) -> None:
    _, world, worker = await published(build, broker, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, OSError("disk")))
        await worker.hand.emptied(30)
    assert notices(world) == ["removal_left"]
    assert world.ear.notices[-1].facts == {"messages": 1}
    assert len(await rows_of(world, OutboxMessage)) == 1


async def test_a_worker_tells_of_a_removal_that_fails_and_goes_on_with_it(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    worker.listen(world.bound)
    broken = [True]
    whole = hand.write

    async def write(*given: Any) -> None:
        if broken[0]:
            raise OSError("disk")
        await whole(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand, "write", write)
        async with asyncio.timeout(30), worker.running(lambda _: None):
            await say(world, 1)
            while "removal_waits" not in notices(world):
                await asyncio.sleep(0)
            await say(world, 2)
            while len(broker.published) < 2:
                await asyncio.sleep(0)
            broken[0] = False
            while await rows_of(world, OutboxMessage):
                await asyncio.sleep(0.01)
    assert (notices(world), len(broker.published)) == (["removal_waits"], 2)
