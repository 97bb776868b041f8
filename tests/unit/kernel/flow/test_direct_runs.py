"""Messages that run before they are stored: their rows are added with their effect, and are acknowledged then."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from flow_world import Talk, drained, failing, inbox, records
from kernel_world import Build, World
from moody_broker import Moody, emitted, notices, subscribed
from msgspec.structs import replace

from mainstay import Event, Module
from mainstay.kernel.bind import DEADLINE
from mainstay.kernel.flow import direct
from mainstay.kernel.flow.fates import REST_SECONDS
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.records import State
from mainstay.kernel.flow.upkeep import LEAST_AGE, Keeping
from mainstay.kernel.worker import EventWorker
from mainstay.model.problem import NotCommitted, SerializationConflict
from mainstay.ports.broker import BrokerAway

Ready = tuple[Talk, World, Any, Moody]


async def ready(build: Build, **options: Any) -> Ready:
    """Return a service that has nothing to do, and listens to a broker."""
    talk, broker = Talk(**options), Moody()
    world, worker = await subscribed(build, talk, broker)
    await drained(worker)
    return talk, world, worker, broker


@pytest.fixture
async def idle(build: Build) -> Ready:
    return await ready(build)


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages are stored first, at each time."""
    told: list[int] = []
    whole = Filing.put

    async def noted(filing: Any, transaction: Any, envelopes: Any, **more: Any) -> Any:
        told.append(len(envelopes))
        return await whole(filing, transaction, envelopes, **more)

    monkeypatch.setattr(Filing, "put", noted)
    return told


def unacknowledged(worker: Any) -> int:
    return len(worker.intake._subscription._taken)


async def ran(worker: Any) -> None:
    """Take in what is there, and wait for what runs at once."""
    await worker._take_in()
    await worker.runner.settled()
    await worker.intake.settled()


async def test_a_message_and_its_effect_are_one_transaction(idle: Ready, put: list[int]) -> None:
    talk, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, 2, key=None))
    begun: list[bool] = []
    whole = world.store.begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", lambda **given: begun.append(given["write"]) or whole(**given))
        await ran(worker)
    assert (talk.heard, begun, put) == ([1, 2], [True, True], [])
    assert [(row.state, row.version, row.place, row.attempts) for row in await inbox(world)] == [
        (State.DONE, 1, None, 0)
    ] * 2
    assert (worker.counters.taken, worker.counters.of("first").done, unacknowledged(worker)) == (2, 2, 0)


async def test_it_is_not_acknowledged_before_all_its_consumers_have_ended(build: Build) -> None:
    talk, world, worker, broker = await ready(build, second=True)
    go = asyncio.Event()
    talk.waits = lambda _: go.wait()
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    while await records(world) != [(1, "second")]:
        await asyncio.sleep(0)
    assert (unacknowledged(worker), worker.counters.of("first").running) == (1, 1)
    go.set()
    await worker.runner.settled()
    await worker.intake.settled()
    assert (unacknowledged(worker), await records(world)) == (0, [(1, "first"), (1, "second")])


async def test_what_fails_is_stored_as_it_is_then_and_tried_again(idle: Ready, put: list[int]) -> None:
    talk, world, worker, broker = idle
    talk.refuses = {1: 1}
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await ran(worker)
    (row,) = await inbox(world)
    assert (row.state, row.version, row.attempts, row.cause, row.place) == (State.PENDING, 1, 1, "conflict", None)
    assert row.due_at is not None
    assert (unacknowledged(worker), worker.counters.of("first").failed, await records(world)) == (0, 1, [])
    world.clock.advance(5)
    await drained(worker)
    assert (talk.heard, await records(world), put) == ([1, 1], [(1, "first")], [])


async def test_one_that_is_tried_once_is_a_dead_letter(build: Build) -> None:
    talk, world, worker, broker = await ready(build, attempts=1)
    talk.refuses = {1: None}
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await ran(worker)
    (row,) = await inbox(world)
    assert (row.state, row.attempts, row.cause) == (State.DEAD, 1, "conflict")
    assert (talk.heard, notices(world), worker.counters.dead) == ([1], ["dead_letter"], 1)


async def test_one_that_is_there_already_has_no_second_effect(idle: Ready) -> None:
    talk, world, worker, broker = idle
    bodies = await emitted(world, worker, broker, 1, key=None)
    for _ in range(2):  # published again by a relay that was killed
        broker.hand(bodies)
        await ran(worker)
    assert (talk.heard, await records(world)) == ([1, 1], [(1, "first")])
    assert (len(await inbox(world)), unacknowledged(worker), worker.counters.of("first").failed) == (1, 0, 0)


async def test_one_that_comes_again_while_it_runs_runs_once(idle: Ready) -> None:
    talk, world, worker, broker = idle
    go = asyncio.Event()
    talk.waits = lambda _: go.wait()
    bodies = await emitted(world, worker, broker, 1, key=None)
    for _ in range(2):
        broker.hand(bodies)
        await worker._take_in()
    assert unacknowledged(worker) == 2
    go.set()
    await ran(worker)
    assert (talk.heard, unacknowledged(worker), await records(world)) == ([1], 0, [(1, "first")])


async def test_one_that_was_handed_out_before_is_looked_for(idle: Ready, put: list[int]) -> None:
    _, world, worker, broker = idle
    bodies = await emitted(world, worker, broker, 1, key=None)
    broker.hand(bodies)
    broker.exchange.groups["sample"].waiting[0] = replace(broker.exchange.groups["sample"].waiting[0], times=2)
    await ran(worker)
    assert put == [1]


async def test_a_store_that_is_away_loses_nothing(idle: Ready) -> None:
    talk, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    group = broker.exchange.groups["sample"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, NotCommitted()))
        await ran(worker)
        assert (notices(world), unacknowledged(worker)) == (["consumer_waits"], 1)
        with pytest.raises(NotCommitted):
            await worker._take_in()
    assert [one.times for one in group.waiting] == [2]  # it has left
    await drained(worker)
    assert talk.heard == [1]  # its consumer rests
    world.clock.advance(REST_SECONDS)
    await drained(worker)
    assert (talk.heard, await records(world), unacknowledged(worker)) == ([1, 1], [(1, "first")], 0)


@pytest.mark.parametrize(("conflicts", "kept"), [(direct.ATTEMPTS - 1, True), (direct.ATTEMPTS, False)])
async def test_conflicts_while_it_is_stored_are_tried_again(idle: Ready, conflicts: int, kept: bool) -> None:
    _, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await ran(worker)
    (row,) = await inbox(world)
    left, whole, fails = conflicts, world.store.begin, failing(world, SerializationConflict())

    def begin(**given: Any) -> Any:
        nonlocal left
        left -= 1
        return whole(**given) if left < 0 else fails(**given)

    again = replace(row, id=world.bound.ports.ids.next(), mark="other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", begin)
        if kept:
            assert await worker.runner.direct._store(again)
        else:
            with pytest.raises(SerializationConflict):
                await worker.runner.direct._store(again)
    assert len(await inbox(world)) == 1 + kept


async def test_what_ran_for_another_membership_is_not_acknowledged_by_this_one(idle: Ready) -> None:
    talk, world, worker, broker = idle
    go = asyncio.Event()
    talk.waits = lambda _: go.wait()
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    await worker.intake.close()
    told: list[Any] = []
    subscription = await worker.intake.join()
    subscription.acknowledge = told.append
    go.set()
    await worker.runner.settled()
    await worker.intake.settled()
    assert (told, await records(world)) == ([], [(1, "first")])


async def test_a_broker_that_takes_no_acknowledgement_is_away(idle: Ready) -> None:
    _, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key=None))

    async def refused(_: Any) -> None:
        raise BrokerAway("gone")

    worker.intake._subscription.acknowledge = refused
    await ran(worker)
    assert (notices(world), await records(world)) == (["broker_away"], [(1, "first")])


async def test_what_has_run_is_acknowledged_before_the_group_is_left(idle: Ready) -> None:
    _, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    subscription = worker.intake._subscription
    whole = subscription.acknowledge

    async def slowly(taken: Any) -> None:
        await asyncio.sleep(0.05)
        await whole(taken)

    subscription.acknowledge = slowly
    await worker._take_in()
    await worker.runner.settled()
    await worker.close()
    assert not broker.exchange.groups["sample"].waiting


async def test_what_is_cut_short_at_the_end_goes_to_another(idle: Ready) -> None:
    talk, world, worker, broker = idle
    talk.waits = lambda _: asyncio.Event().wait()
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await worker._take_in()
    await asyncio.sleep(0)
    await worker.runner.settled(0.01)
    await worker.close()
    assert [one.times for one in broker.exchange.groups["sample"].waiting] == [2]
    assert (await inbox(world), notices(world)) == ([], [])


async def test_of_more_than_may_run_the_rest_is_stored(build: Build, put: list[int]) -> None:
    talk, world, worker, broker = await ready(build, concurrency=2)
    broker.hand(await emitted(world, worker, broker, 1, 2, 3, 4, key=None))
    await worker._take_in()
    assert put == [2]
    await drained(worker)
    assert (sorted(talk.heard), unacknowledged(worker)) == ([1, 2, 3, 4], 0)


async def test_an_order_is_kept_by_storing_first(idle: Ready, put: list[int]) -> None:
    _, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key="k"))
    await ran(worker)
    assert put == [1]


async def test_an_old_message_is_stored_first(idle: Ready, put: list[int]) -> None:
    _, world, worker, broker = idle
    bodies = await emitted(world, worker, broker, 1, key=None)
    world.clock.advance(LEAST_AGE / 2)
    broker.hand(bodies)
    await ran(worker)
    assert put == [1]


async def test_while_others_may_wait_it_is_stored_first(idle: Ready, put: list[int]) -> None:
    _, world, worker, broker = idle
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    worker.runner.look_everywhere()
    await worker._take_in()
    assert put == [1]


async def test_for_a_consumer_that_is_paused_it_is_stored(idle: Ready, put: list[int]) -> None:
    talk, world, worker, broker = idle
    worker.known._states = {"first": replace(worker.known._states["first"], paused=True)}
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await ran(worker)
    assert (put, talk.heard) == ([1], [])


async def test_where_a_worker_stops_it_is_stored(idle: Ready, put: list[int]) -> None:
    talk, world, worker, broker = idle
    worker.runner.stop()
    broker.hand(await emitted(world, worker, broker, 1, key=None))
    await ran(worker)
    assert (put, talk.heard) == ([1], [])


def fit(world: World, keeping: Keeping | None = None) -> set[str]:
    return EventWorker(world.bound, "other", keeping).runner.direct._fit


async def test_where_little_is_kept_it_is_stored_first(build: Build) -> None:
    world = await build(Talk().module, broker=Moody())
    assert fit(world) == {"first"}
    enough = timedelta(seconds=DEADLINE) + direct.SPARE
    assert fit(world, Keeping(enough * 2)) == {"first"}
    assert fit(world, Keeping(enough * 2 - timedelta(seconds=1))) == set()


async def test_a_store_of_few_writes_stores_first(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(Talk().module, broker=Moody())
    monkeypatch.setattr(world.store, "capabilities", replace(world.store.capabilities, max_writes=100))
    assert fit(world) == set()


async def test_who_reaches_outside_is_stored_first(build: Build) -> None:
    module = Module("talk")

    class Said(Event):
        number: int

    class Post:
        """The outside."""

    @module.on(Said)
    async def pass_on(event: Said, post: Post) -> None: ...

    world = await build(module, broker=Moody(), provide=lambda service: service.provide(Post, Post))
    assert fit(world) == set()
