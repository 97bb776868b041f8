"""The intake when its own store fails: no message is lost, and no broker waits for a member that cannot store it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from flow_world import Talk, drained, failing, inbox, number_of
from kernel_world import Build, World
from moody_broker import Moody, emitted, notices, subscribed

from mainstay.kernel.flow.envelope import Envelope
from mainstay.kernel.flow.filing import Filing
from mainstay.model.problem import CommitUnknown, NotCommitted
from mainstay.ports.broker import BrokerAway
from mainstay.ports.store import BeyondStore

Talking = tuple[Talk, World, Any, Moody]


@pytest.fixture
async def talking(build: Build) -> Talking:
    talk, broker = Talk(), Moody()
    world, worker = await subscribed(build, talk, broker)
    return talk, world, worker, broker


@pytest.mark.parametrize("error", [NotCommitted(), CommitUnknown(), OSError("disk")], ids=repr)
async def test_what_it_took_is_given_back_at_once_and_another_member_has_it(talking: Talking, error: Exception) -> None:
    _, world, worker, broker = talking
    broker.hand(await emitted(world, worker, broker, 1, 2))
    group = broker.exchange.groups["sample"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, error))
        for _ in range(3):  # it takes nothing more meanwhile
            with pytest.raises(type(error)):
                await worker._take_in()
            assert [one.times for one in group.waiting] == [2, 2]
    other = world.worker("other")
    await drained(other)
    assert group.waiting == type(group.waiting)()
    assert [number_of(row) for row in await inbox(world)] == [1, 2]
    await worker.step()
    assert worker.counters.taken == 0
    assert len(await inbox(world)) == 2


async def test_they_are_stored_as_soon_as_the_store_is_back_though_the_broker_is_slow(talking: Talking) -> None:
    talk, world, worker, broker = talking
    broker.hand(await emitted(world, worker, broker, 1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, NotCommitted()))
        with pytest.raises(NotCommitted):
            await worker._take_in()
    group = broker.exchange.groups["sample"]
    late = list(group.waiting)
    group.waiting.clear()
    await drained(worker)
    assert talk.heard == [1, 2]
    broker.hand([one.body for one in late])
    await drained(worker)
    assert (talk.heard, worker.counters.taken) == ([1, 2], 2)


async def test_a_broker_that_is_away_as_well_is_waited_for(talking: Talking) -> None:
    talk, world, worker, broker = talking
    broker.hand(await emitted(world, worker, broker, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, NotCommitted()))
        with pytest.raises(NotCommitted):
            await worker._take_in()
    broker.away = True
    assert not await worker._take_in()
    assert notices(world) == ["broker_away"]
    await worker.runner.step()
    await worker.runner.settled()
    assert talk.heard == [1]


def narrow(patch: pytest.MonkeyPatch, most: int) -> None:
    """Have a store that takes messages whose numbers come to so much at once."""
    whole = Filing.put

    async def put(filing: Filing, transaction: Any, envelopes: Sequence[Envelope], **given: Any) -> Any:
        if sum(number_of(envelope) for envelope in envelopes) > most:  # type: ignore[arg-type]  # an envelope has a payload as a row has
            raise BeyondStore("a row, or the whole command, is larger than this store takes")
        return await whole(filing, transaction, envelopes, **given)

    patch.setattr(Filing, "put", put)


async def test_what_is_too_much_together_is_stored_in_parts_and_what_is_alone_is_refused(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, world, worker, broker = talking
    bodies = [body for number in (3, 4, 9, 5) for body in await emitted(world, worker, broker, number, key=str(number))]
    narrow(monkeypatch, 8)
    broker.hand(bodies)
    await drained(worker)
    assert sorted(talk.heard) == [3, 4, 5]
    told = "a row, or the whole command, is larger than this store takes"
    assert [cause for _, cause in broker.exchange.refused] == [told]
    assert notices(world) == ["message_refused"]
    assert (worker.counters.taken, worker.counters.refused) == (3, 1)


async def test_what_was_owed_and_is_too_much_together_comes_again_and_is_stored_in_parts(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, world, worker, broker = talking
    broker.hand(await emitted(world, worker, broker, 5, 6, key="k"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", failing(world, NotCommitted()))
        with pytest.raises(NotCommitted):
            await worker._take_in()
    narrow(monkeypatch, 8)
    await drained(worker)
    assert talk.heard == [5, 6]


async def test_a_message_that_is_too_large_alone_holds_nothing_up(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, world, worker, broker = talking
    narrow(monkeypatch, 8)
    broker.hand(await emitted(world, worker, broker, 9))
    await drained(worker)
    broker.hand(await emitted(world, worker, broker, 1, key="other"))
    await drained(worker)
    assert talk.heard == [1]
    assert (worker.counters.taken, worker.counters.refused) == (1, 1)


async def test_a_broker_that_is_away_when_a_message_is_to_be_refused_keeps_it(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, world, worker, broker = talking
    narrow(monkeypatch, 8)
    broker.hand(await emitted(world, worker, broker, 9))
    subscription = await worker.intake.join()

    async def refuse(*_: Any) -> None:
        raise BrokerAway("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscription, "refuse", refuse)
        assert not await worker._take_in()
    assert notices(world) == ["broker_away"]
    assert (talk.heard, worker.counters.refused) == ([], 0)
    await subscription.close()
    assert [one.times for one in broker.exchange.groups["sample"].waiting] == [2]
