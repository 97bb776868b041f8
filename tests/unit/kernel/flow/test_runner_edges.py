"""The edges of delivery: a consumer that hangs, a key that waits, a store that fails, a lease that is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kernel_world import Build, World
from mainstay.kernel.flow.lease import RENEW, TERM, Lease

from mainstay import Entity, Event, Events, Module, Repository, anyone
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow import relay as relay_module
from mainstay.kernel.flow.records import OutboxMessage, RelayLease
from mainstay.model.conditions import TRUE
from mainstay.model.problem import Conflict, NotFound, SerializationConflict, StaleVersion, UniqueConflict
from mainstay.ports.rows import Query


class Rang(Event):
    number: int


class Heard(Entity):
    number: int


def ringing(heard: list[int] | None = None, refuses: set[int] | None = None, hangs: Any = None) -> Module:
    module = Module("bells")
    heard = [] if heard is None else heard

    @module.command("POST /ring", allow=anyone)
    async def ring(numbers: list[int], events: Events, key: str | None = None) -> None:
        for number in numbers:
            events.emit(Rang(number=number), key=key)

    @module.on(Rang)
    async def listen(event: Rang, rows: Repository[Heard]) -> None:
        if refuses is not None and event.number in refuses:
            raise Conflict
        if hangs is not None:
            await hangs.wait()
        await rows.add(Heard(number=event.number))
        heard.append(event.number)

    return module


async def ring(world: World, *numbers: int, key: str | None = None) -> None:
    told = f'"{key}"' if key is not None else "null"
    await world.send("ring", body=f'{{"numbers": {list(numbers)}, "key": {told}}}'.encode())


async def rows_of(world: World, entity: Any) -> list[Any]:
    transaction = world.store.begin(write=False)
    found = await transaction.rows(entity).fetch(Query(where=TRUE))
    await transaction.rollback()
    return found


async def test_what_waits_behind_its_key_hides_nothing_else(build: Build) -> None:
    heard: list[int] = []
    refuses = {0}
    world = await build(ringing(heard, refuses))
    relay = world.bound.relay("me")
    await ring(world, *range(relay_module.BATCH + 10), key="k")
    await ring(world, 1000)
    await ring(world, 1001, key="other")
    assert await relay.deliver() is True
    assert heard == []
    await relay.deliver()
    assert sorted(heard) == [1000, 1001]
    refuses.clear()
    world.clock.advance(5)
    while await relay.deliver():
        pass
    assert [number for number in heard if number < 1000] == list(range(relay_module.BATCH + 10))


async def test_order_holds_where_many_keys_wait(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "DELAYED", 2)
    heard: list[int] = []
    refuses = {1, 2, 3}
    world = await build(ringing(heard, refuses))
    relay = world.bound.relay("me")
    for number in (1, 2, 3):
        await ring(world, number, number + 10, key=f"k{number}")
    await relay.deliver()
    await ring(world, 100)
    refuses.clear()
    await relay.deliver()
    await relay.deliver()
    assert heard == [100]
    world.clock.advance(5)
    await relay.deliver()
    assert sorted(heard) == [1, 2, 3, 11, 12, 13, 100]
    assert all(heard.index(number) < heard.index(number + 10) for number in (1, 2, 3))


async def test_a_consumer_that_hangs_holds_up_nobody_for_ever(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MARGIN", 0.0)
    hangs = asyncio.Event()
    world = await build(ringing(hangs=hangs))
    world.names["listen"].deadline = 0.01
    await ring(world, 1)
    async with asyncio.timeout(5):
        await world.bound.relay("me").deliver()
    (waiting,) = await rows_of(world, OutboxMessage)
    assert waiting.cause == "listen: deadline_exceeded"
    assert await rows_of(world, Heard) == []


async def test_a_consumer_that_commits_is_left_to_end(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MARGIN", 0.0)
    world = await build(ringing())
    world.names["listen"].deadline = 0.01
    whole = world.names["listen"].invoke

    async def slow(call: Any) -> Any:
        call.committing = True
        await asyncio.sleep(0.05)
        return await whole(call)

    world.names["listen"].invoke = slow
    await ring(world, 1)
    await world.bound.relay("me").deliver()
    assert [h.number for h in await rows_of(world, Heard)] == [1]


async def test_a_delivery_that_is_cancelled_cancels_its_consumers(build: Build) -> None:
    hangs = asyncio.Event()
    world = await build(ringing(hangs=hangs))
    await ring(world, 1)
    delivering = asyncio.create_task(world.bound.relay("me").deliver())
    while not world.names["listen"].running:
        await asyncio.sleep(0)
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
    await asyncio.sleep(0)
    assert world.names["listen"].running == 0
    assert len(await rows_of(world, OutboxMessage)) == 1


async def test_messages_whose_removal_fails_are_delivered_again_to_no_effect(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    world = await build(ringing(heard))
    relay = world.bound.relay("me")
    await ring(world, 1, 2, 3)
    whole, calls = world.store.begin, 0

    def begin(**given: Any) -> Any:
        nonlocal calls
        transaction: Any = whole(**given)
        if given["write"] and not given.get("deadline"):
            calls += 1
            if calls == 1:

                async def commit() -> None:
                    raise OSError("disk")

                monkeypatch.setattr(transaction, "commit", commit)
        return transaction

    monkeypatch.setattr(world.store, "begin", begin)
    with pytest.raises(OSError, match="disk"):
        await relay.deliver()
    assert sorted(heard) == [1, 2, 3]
    assert len(await rows_of(world, OutboxMessage)) == 3
    await relay.deliver()
    assert sorted(heard) == [1, 2, 3]
    assert await rows_of(world, OutboxMessage) == []


async def test_what_a_failed_delivery_cannot_note_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    world = await build(ringing(heard, {1}))
    relay = world.bound.relay("me")
    await ring(world, 1, 2)

    async def change(message: OutboxMessage, changes: dict[str, Any]) -> None:
        raise OSError("disk")

    monkeypatch.setattr(relay, "_change", change)
    with pytest.raises(OSError, match="disk"):
        await relay.deliver()
    assert heard == [2]
    assert [message.event for message in await rows_of(world, OutboxMessage)] == ["bells.Rang"]


async def test_a_consumer_that_is_called_without_a_message_leaves_no_mark(build: Build) -> None:
    world = await build(ringing())
    await dispatch(world.call("listen", body=b'{"number": 5}'))
    assert [h.number for h in await rows_of(world, Heard)] == [5]


@pytest.mark.parametrize("lost", [UniqueConflict, StaleVersion, NotFound, SerializationConflict])
async def test_a_lease_that_another_took_first_is_not_held(
    build: Build, monkeypatch: pytest.MonkeyPatch, lost: Any
) -> None:
    world = await build(ringing())
    lease = Lease(world.bound.ports, "relay", "me")
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", _failing(world, lost()))
        assert await lease.hold() is False
    assert await rows_of(world, RelayLease) == []
    world.clock.advance(RENEW)
    assert await lease.hold() is True


async def test_a_store_that_fails_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(ringing())
    lease = Lease(world.bound.ports, "relay", "me")
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", _failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await lease.hold()
    world.clock.advance(RENEW)
    assert await lease.hold() is True
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", _failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await lease.release()
    world.clock.advance(TERM)
    assert await Lease(world.bound.ports, "relay", "other").hold() is True


async def test_housekeeping_that_fails_leaves_all_as_it_was(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(ringing())
    relay = world.bound.relay("me")
    world.clock.advance(relay_module.HOUSEKEEPING)
    monkeypatch.setattr(world.store, "begin", _failing(world, OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        await relay.housekeeping()


async def test_a_relay_that_does_not_lead_waits(build: Build) -> None:
    world = await build(ringing())
    leader = Lease(world.bound.ports, "relay", "leader")
    assert await leader.hold()
    await ring(world, 1)
    relay = world.bound.relay("me")
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0.05)
    assert relay.counters.leading is False
    relay.stop()
    await running
    assert len(await rows_of(world, OutboxMessage)) == 1


async def test_a_relay_goes_on_at_once_while_there_is_more(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 2)
    monkeypatch.setattr(relay_module, "POLL", 60.0)
    heard: list[int] = []
    world = await build(ringing(heard))
    await ring(world, *range(7))
    relay = world.bound.relay("me")
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(5):
        while len(heard) < 7:
            await asyncio.sleep(0)
    relay.stop()
    await running


def _failing(world: World, error: Exception) -> Any:
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)

        async def commit() -> None:
            raise error

        transaction.commit = commit
        return transaction

    return begin


async def test_a_relay_looks_again_though_nobody_wakes_it(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "POLL", 0.001)
    heard: list[int] = []
    world = await build(ringing(heard))
    relay = world.bound.relay("me")
    world.bound.bell.listen(lambda: None)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0.01)
    await ring(world, 1)
    async with asyncio.timeout(5):
        while not heard:
            await asyncio.sleep(0.001)
    relay.stop()
    await running
