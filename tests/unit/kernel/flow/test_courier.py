"""What a process has just committed is published without being read, where nothing speaks against it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flow_world import Talk, drained, inbox, rows_of, say
from kernel_world import Build, World
from moody_broker import Moody, notices, subscribed

from mainstay.kernel.flow import courier, line
from mainstay.kernel.flow.records import ASIDE, OutboxMessage, State
from mainstay.ports.broker import BrokerTraits


@pytest.fixture
def broker() -> Moody:
    return Moody()


async def listening(build: Build, broker: Moody, **options: Any) -> tuple[Talk, World, Any]:
    talk = Talk(**options)
    world, worker = await subscribed(build, talk, broker)
    worker.listen(world.bound)
    return talk, world, worker


@contextmanager
def counted(world: World) -> Iterator[list[bool]]:
    """Note of each transaction that begins whether it may write."""
    begun: list[bool] = []
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        begun.append(given["write"])
        return whole(**given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", begin)
        yield begun


async def test_what_is_committed_is_published_and_removed_and_never_read(build: Build, broker: Moody) -> None:
    talk, world, worker = await listening(build, broker)
    await say(world, 1)
    await say(world, 2, 3)
    assert broker.published == []
    with counted(world) as begun:
        assert await worker.courier.step() is False
        assert len(broker.published) == 3  # those of a moment together
        assert begun == []
        assert await worker.hand.step() is False
        assert begun == [True]
    assert await rows_of(world, OutboxMessage) == []
    assert worker.counters.relayed == 3
    await drained(worker)
    assert talk.heard == [1, 2, 3]
    assert len(broker.published) == 3


async def test_nothing_is_offered_before_it_is_committed(build: Build, broker: Moody) -> None:
    _, world, _ = await listening(build, broker)
    offered: list[Any] = []
    world.bound.bell.listen(offered.append)
    await say(world, 1, fail=True)
    assert offered == []
    await say(world, 2)
    assert [[row.id for row in rows] for rows in offered] == [[row.id for row in await rows_of(world, OutboxMessage)]]


async def test_those_of_a_key_are_read_in_their_order(build: Build, broker: Moody) -> None:
    talk, world, worker = await listening(build, broker)
    await say(world, 1, 2, key="k")
    await say(world, 3)
    await worker.courier.step()
    assert [one.key for one in broker.published] == [""]
    await drained(worker)
    assert [one.key for one in broker.published] == ["", "k", "k"]
    assert [number for number in talk.heard if number != 3] == [1, 2]


async def test_while_the_broker_is_away_or_was_not_joined_all_is_left_to_the_relay(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    worker.listen(world.bound)
    await worker.shares.step()
    await say(world, 1)
    await worker.line.ready()  # type: ignore[union-attr]  # there is a broker
    await say(world, 2)
    assert len(worker.hand) == 0
    await drained(worker)
    broker.away = True
    await say(world, 3)
    await worker.courier.step()  # type: ignore[union-attr]  # there is a broker
    assert notices(world) == ["broker_away"]
    await say(world, 4)
    assert len(worker.hand) == 0
    broker.away = False
    world.clock.advance(line.MAX_PAUSE * 2)
    await worker.shares.step()
    await drained(worker)
    assert talk.heard == [1, 2, 3, 4]


async def test_what_waits_when_the_broker_goes_away_is_let_go(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    await say(world, 1)
    worker.counters.broker_away = True
    assert await worker.courier.step() is False
    assert (broker.published, len(worker.hand)) == ([], 0)


async def test_what_is_not_confirmed_is_let_go_and_read(build: Build, broker: Moody) -> None:
    talk, world, worker = await listening(build, broker)
    broker.confirms = 1
    await say(world, 1, 2)
    await worker.courier.step()
    assert len(worker.hand) == 1
    broker.confirms = None
    world.clock.advance(line.MAX_PAUSE * 2)
    await worker.shares.step()
    await drained(worker)
    assert sorted(talk.heard) == [1, 2]
    assert len(broker.published) == 2


async def test_only_partitions_that_are_held_are_published_for(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    rings: list[str] = []
    store: Any = world.store
    store.ring = lambda: rings.append("rung")
    await say(world, 1)
    assert (len(worker.hand), rings) == (1, [])
    world.clock.advance(60)  # its leases have ended
    await say(world, 2)
    assert (len(worker.hand), rings) == (1, ["rung"])
    await worker.courier.step()
    assert (broker.published, len(worker.hand)) == ([], 0)


async def test_only_so_much_is_in_hand(build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MOST_IN_HAND", 3)
    talk, world, worker = await listening(build, broker)
    await say(world, 1, 2)
    await say(world, 3, 4)
    await say(world, 5)
    await say(world, 6)
    assert len(worker.hand) == 3
    await drained(worker)
    assert sorted(talk.heard) == [1, 2, 3, 4, 5, 6]
    assert len(broker.published) == 6


async def test_a_relay_that_is_behind_has_all_to_itself(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstay.kernel.flow.relay.BATCH", 2)
    talk, world, worker = await listening(build, broker)
    await say(world, 1, 2, key="k")
    await worker.relay.step()
    await say(world, 3)
    assert len(worker.hand) == 2
    await worker.relay.step()
    await say(world, 4)
    assert len(worker.hand) == 4
    await drained(worker)
    assert sorted(talk.heard) == [1, 2, 3, 4]
    assert len(broker.published) == 4


async def test_what_a_read_has_found_before_is_not_taken_as_well(build: Build, broker: Moody) -> None:
    talk, world, worker = await listening(build, broker)
    broker.confirming = asyncio.Event()
    stored: list[Any] = []
    world.bound.bell.listen(stored.extend)
    await say(world, 1)
    reading = asyncio.create_task(worker.relay.step())
    while not broker.published:
        await asyncio.sleep(0)
    assert worker.courier.offer(stored) == []
    broker.confirming.set()
    await reading
    await drained(worker)
    assert (talk.heard, len(broker.published)) == ([1], 1)


async def test_what_is_in_hand_is_left_out_by_a_read(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    await say(world, 1)
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        rows = transaction.rows(OutboxMessage)
        fetch = rows.fetch

        async def later(query: Any) -> Any:
            found = await fetch(query)
            worker.hand.let_go([row.id for row in found])  # it was removed while it was read
            return found

        rows.fetch = later
        transaction.rows = lambda _: rows
        return transaction

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", begin)
        assert await worker.relay.step() is False
    assert broker.published == []


async def test_what_the_broker_takes_no_more_is_set_aside(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    broker.traits = BrokerTraits(durable=False, ordered=True, max_bytes=7, keeps_refused=True)
    await say(world, 1)
    await worker.courier.step()
    assert [row.place for row in await rows_of(world, OutboxMessage)] == [ASIDE]
    assert (broker.published, len(worker.hand), notices(world)) == ([], 0, ["event_too_large"])


async def test_flights_are_beside_each_other_and_the_rest_waits_for_one(build: Build, broker: Moody) -> None:
    talk, world, worker = await listening(build, broker)
    broker.confirming = asyncio.Event()
    async with asyncio.timeout(30), worker.running(lambda _: None):
        for number in range(courier.FLIGHTS + 2):
            await say(world, number)
            await asyncio.sleep(0.01)
        assert len(broker.published) == courier.FLIGHTS
        broker.confirming.set()
        while len(await inbox(world, State.DONE)) < courier.FLIGHTS + 2 or await rows_of(world, OutboxMessage):
            await asyncio.sleep(0.01)
    assert sorted(talk.heard) == list(range(courier.FLIGHTS + 2))
    assert len(broker.published) == courier.FLIGHTS + 2


async def test_a_failure_that_nobody_expects_is_told_and_the_next_read_finds_it(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, world, worker = await listening(build, broker)

    async def broken(_: Any) -> Any:
        raise OSError("no more sockets")

    async with asyncio.timeout(30), worker.running(lambda _: None):
        with monkeypatch.context() as patch:
            patch.setattr(broker, "publish", broken)
            await say(world, 1)
            while not notices(world):
                await asyncio.sleep(0)
        while not await inbox(world, State.DONE):
            await asyncio.sleep(0.01)
    assert notices(world)[0] == "courier_waits"
    assert talk.heard == [1]


async def test_what_waits_at_a_stop_is_let_go_and_nothing_more_is_taken(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    await say(world, 1)
    worker.stop()
    await say(world, 2)
    assert await worker.courier.step() is False
    assert (broker.published, len(worker.hand)) == ([], 0)
    assert len(await rows_of(world, OutboxMessage)) == 2


async def test_what_is_in_flight_at_a_stop_ends_and_is_removed(build: Build, broker: Moody) -> None:
    _, world, worker = await listening(build, broker)
    broker.confirming = asyncio.Event()
    async with asyncio.timeout(30), worker.running(lambda _: None):
        await say(world, 1)
        while not broker.published:
            await asyncio.sleep(0)
        worker.stop()
        asyncio.get_running_loop().call_later(0.05, broker.confirming.set)
    assert await rows_of(world, OutboxMessage) == []
    assert worker.counters.relayed == 1


async def test_what_does_not_end_at_a_stop_is_let_go(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstay.kernel.worker.DRAIN", 0.01)
    _, world, worker = await listening(build, broker)
    broker.confirming = asyncio.Event()
    async with asyncio.timeout(30), worker.running(lambda _: None):
        await say(world, 1)
        while not broker.published:
            await asyncio.sleep(0)
    assert len(worker.hand) == 0
    assert len(await rows_of(world, OutboxMessage)) == 1
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
