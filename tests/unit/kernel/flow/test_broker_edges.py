"""The edges of events over a broker: what comes at the same time, what cannot be stored, and what is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from flow_world import Talk, Unheard, drained, inbox, number_of, say
from kernel_world import Build
from moody_broker import Moody, emitted, notices, subscribed

from mainstay import Events, Module, anyone
from mainstay.kernel.flow import intake, line, relay
from mainstay.kernel.flow.envelope import decode
from mainstay.kernel.flow.judging import GAP, LOOK
from mainstay.kernel.flow.records import State
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.broker import BrokerAway, Incoming


@pytest.fixture
def broker() -> Moody:
    return Moody()


async def test_what_comes_late_while_a_later_one_runs_is_not_run_behind_it(build: Build, broker: Moody) -> None:
    talk, go = Talk(latest_only=True), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2)
    broker.hand([bodies[1]])
    await worker._take_in()
    await worker.runner.step()
    async with asyncio.timeout(30):
        while not world.names["first"].running:
            await asyncio.sleep(0)
    broker.hand([bodies[0]])
    await worker._take_in()
    await worker.runner.step()
    go.set()
    await worker.runner.settled()
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [2]


@pytest.mark.parametrize("lost", [UniqueConflict, SerializationConflict])
async def test_what_another_member_stores_at_the_same_time_is_looked_for_again(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch, lost: Any
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    whole, left = world.store.begin, [intake.ATTEMPTS - 1]

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        if given["write"] and left[0]:
            left[0] -= 1

            async def commit() -> None:
                raise lost

            transaction.commit = commit
        return transaction

    monkeypatch.setattr(world.store, "begin", begin)
    broker.hand(bodies)
    await worker._take_in()
    assert len(await inbox(world)) == 1
    left[0] = intake.ATTEMPTS
    broker.hand(bodies)
    with pytest.raises(lost):
        await worker._take_in()
    left[0] = 0


async def test_what_cannot_be_stored_is_not_acknowledged(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    broker.hand(bodies)

    async def broken(*_: Any, **__: Any) -> Any:
        raise OSError("disk")

    with monkeypatch.context() as patched:
        patched.setattr("mainstay.kernel.flow.filing.Filing.put", broken)
        with pytest.raises(OSError, match="disk"):
            await worker._take_in()
    await worker.close()  # it leaves its group: another member gets it
    assert len(broker.exchange.groups["sample"].waiting) == 1
    other = world.worker("other")
    await drained(other)
    world.clock.advance(60)
    await drained(other)
    assert talk.heard == [1]


async def test_a_full_inbox_leaves_the_rest_with_the_broker(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    broker.hand(bodies)
    worker.counters.of("first").pending = intake.BACKLOG + 1
    assert not await worker._take_in()
    assert await inbox(world) == []
    worker.counters.of("first").pending = 0
    await drained(worker)
    assert talk.heard == [1]


async def test_a_batch_that_is_full_is_followed_by_another(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 2)
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await say(world, 1, 2, 3)
    await worker.shares.step()
    assert await worker.relay.step() is True
    assert await worker.relay.step() is False
    assert {decode(one.body, world.clock.now()).event for one in broker.published} == {"talk.Happened"}


async def test_nothing_is_published_before_the_services_own_group_is_there(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await say(world, 1)
    await worker.shares.step()
    assert await worker.relay.step() is False
    assert broker.published == []
    await drained(worker)
    assert talk.heard == [1]


async def test_a_service_without_consumers_publishes_and_joins_nothing(build: Build, broker: Moody) -> None:
    module = Module("talk")

    @module.command("POST /unheard", allow=anyone)
    async def unheard(events: Events) -> None:
        events.emit(Unheard(number=1))

    world = await build(module, broker=broker)
    worker = world.worker()
    await world.send("unheard")
    await drained(worker)
    assert [one.topic for one in broker.published] == ["talk.Unheard"]
    assert broker.exchange.groups == {}
    assert not await worker._take_in()
    await worker.close()


async def test_a_group_that_cannot_be_joined_is_joined_later(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await worker.line.ready()  # type: ignore[union-attr]
    broker.away = True
    await worker.step()
    assert notices(world) == ["broker_away"]
    broker.away = False
    world.clock.advance(line.MAX_PAUSE * 2)
    await say(world, 1)
    await drained(worker)
    assert talk.heard == [1]


async def test_a_broker_that_is_lost_while_it_is_listened_to_is_away(build: Build, broker: Moody) -> None:
    world, worker = await subscribed(build, Talk(), broker)

    async def take(*_: Any) -> Sequence[Incoming]:
        raise BrokerAway("cut")

    worker.intake._subscription.take = take
    await worker.step()
    assert notices(world) == ["broker_away"]
    assert world.ear.notices[-1].facts == {"cause": "cut"}


async def test_what_is_taken_in_rings_for_others_where_they_may_run_it(build: Build, broker: Moody) -> None:
    world, worker = await subscribed(build, Talk(), broker)
    bodies = await emitted(world, worker, broker, 1)
    store: Any = world.store
    rings: list[str] = []
    store.ring = lambda: rings.append("rung")
    broker.hand(bodies)
    world.clock.advance(60)  # it holds nothing for sure
    await worker._take_in()
    assert rings == ["rung"]


async def test_a_worker_runs_over_a_broker_until_it_is_stopped(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    worker.listen(world.bound)
    failed: list[BaseException] = []
    async with asyncio.timeout(30), worker.running(failed.append):
        await say(world, 1, 2, key="k")
        while len(await inbox(world, State.DONE)) < 2:
            await asyncio.sleep(0.01)
    assert talk.heard == [1, 2]
    assert failed == []


async def test_behind_a_gap_that_stays_a_consumer_that_continues_goes_on(build: Build, broker: Moody) -> None:
    talk = Talk(on_dead="continue")
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3, 4)
    broker.hand([bodies[0], bodies[2], bodies[3]])
    await drained(worker)
    world.clock.advance(GAP)
    await drained(worker)
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [1, 4]
    assert [number_of(row) for row in await inbox(world, State.DEAD)] == [3]


@pytest.mark.parametrize(("on_dead", "heard"), [("continue", [1, 4]), ("park", [1, 2])])
async def test_what_comes_behind_those_that_have_ceased_to_wait_for_it_is_late(
    build: Build, broker: Moody, on_dead: Any, heard: list[int]
) -> None:
    talk = Talk(on_dead=on_dead)
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3, 4)
    broker.hand([bodies[0], bodies[2], bodies[3]])
    await drained(worker)
    world.clock.advance(GAP)
    await drained(worker)
    world.clock.advance(LOOK)
    await drained(worker)
    broker.hand([bodies[1]])
    await drained(worker)
    assert talk.heard == heard
    causes = {number_of(row): row.cause for row in await inbox(world, State.DEAD)}
    assert causes == ({2: "late", 3: "gap"} if on_dead == "continue" else {3: "gap"})


async def test_what_comes_behind_one_that_has_begun_without_it_is_late(build: Build, broker: Moody) -> None:
    talk = Talk()
    talk.refuses = {3: 1}
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3)
    broker.hand(bodies[2:])
    await drained(worker)
    world.clock.advance(GAP)
    await drained(worker)
    broker.hand(bodies[:1])
    await drained(worker)
    assert talk.heard == [3, 1]  # 3 has failed, and is put off
    world.clock.advance(LOOK)
    await drained(worker)
    broker.hand(bodies[1:2])
    await drained(worker)
    assert talk.heard == [3, 1, 3]
    assert [(number_of(row), row.cause) for row in await inbox(world, State.DEAD)] == [(2, "late")]


async def test_a_line_is_opened_once_and_closed_where_it_was_open(build: Build, broker: Moody) -> None:
    world = await build(Talk().module, broker=broker)
    own = world.worker().line
    assert own is not None
    await own.close()
    assert await asyncio.gather(own.ready(), own.ready()) == [True, True]
    assert broker.opened == 1
    await own.close()
    await own.close()
