"""Sequences: numbers that rise for each key, whatever the clock does, and tell of the one before."""

from __future__ import annotations

from typing import Any

import pytest
from flow_world import Happened, Talk, number_of, rows_of, say
from kernel_world import Build

from mainstay import Events, anyone
from mainstay.kernel.flow.outbox import MAX_KEY_LENGTH
from mainstay.kernel.flow.places import id_of, microseconds
from mainstay.kernel.flow.records import KeySequence, OutboxMessage
from mainstay.kernel.flow.sequences import told_of_keys
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.rows import unique_conflict


async def sequences(world: Any) -> list[tuple[int, int]]:
    rows = sorted(await rows_of(world, OutboxMessage), key=number_of)
    return [(row.sequence, row.previous) for row in rows]


async def test_an_event_is_numbered_by_its_microsecond_or_the_next_one(build: Build) -> None:
    world = await build(Talk().module)
    now = microseconds(world.clock.now())
    await say(world, 1, 2, key="k")
    await say(world, 3, key="k")
    world.clock.advance(1)
    await say(world, 4, key="k")
    assert await sequences(world) == [(now, 0), (now + 1, now), (now + 2, now + 1), (now + 10**6, now + 2)]
    (row,) = await rows_of(world, KeySequence)
    assert (row.id, row.event, row.key) == (id_of("talk.Happened", "k"), "talk.Happened", "k")
    assert row.last == now + 10**6


async def test_a_clock_that_goes_back_takes_no_sequence_along(build: Build) -> None:
    world = await build(Talk().module)
    now = microseconds(world.clock.now())
    await say(world, 1, key="k")
    world.clock.set(world.clock.now().replace(year=2025))
    await say(world, 2, key="k")
    assert await sequences(world) == [(now, 0), (now + 1, now)]


async def test_an_event_without_a_key_asks_nothing_and_has_none(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(Talk().module)
    read: list[Any] = []
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        rows = transaction.rows

        def noted(entity: Any) -> Any:
            read.append(entity)
            return rows(entity)

        transaction.rows = noted
        return transaction

    monkeypatch.setattr(world.store, "begin", begin)
    await say(world, 1, 2)
    assert read == [OutboxMessage]
    monkeypatch.undo()
    assert await sequences(world) == [(0, 0), (0, 0)]
    assert await rows_of(world, KeySequence) == []


@pytest.mark.parametrize("key", ["k" * (MAX_KEY_LENGTH + 1), "a\x00"])
async def test_a_key_that_no_database_has_room_for_is_refused(build: Build, key: str) -> None:
    world = await build(Talk().module)
    await say(world, 1, key=key)
    assert await rows_of(world, OutboxMessage) == []
    assert world.ear.calls[-1].code is not None


def test_who_was_second_with_a_new_key_is_run_again_and_nobody_else() -> None:
    with pytest.raises(SerializationConflict):
        told_of_keys(unique_conflict("KeySequence", "id"), emitted=True)
    told_of_keys(unique_conflict("KeySequence", "id"), emitted=False)
    told_of_keys(unique_conflict("Product", "sku"), emitted=True)
    told_of_keys(UniqueConflict("another"), emitted=True)
    told_of_keys(OSError("disk"), emitted=True)


async def test_two_commands_that_begin_a_key_at_once_succeed(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(Talk().module)
    await say(world, 1, key="k")
    whole, hidden = world.store.begin, [True]

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        rows = transaction.rows

        def blind(entity: Any) -> Any:
            found = rows(entity)
            if entity is KeySequence and hidden:
                hidden.clear()

                async def nothing(_: Any) -> list[Any]:
                    return []

                found.fetch = nothing
            return found

        transaction.rows = blind
        return transaction

    monkeypatch.setattr(world.store, "begin", begin)
    await say(world, 2, key="k")
    assert [call.attempts for call in world.ear.calls] == [1, 2]
    first, second = await sequences(world)
    assert second[1] == first[0]


async def test_events_with_and_without_a_key_go_together(build: Build) -> None:
    talk = Talk()

    @talk.module.command("POST /both", allow=anyone)
    async def both(events: Events) -> None:
        events.emit(Happened(number=1), key="k")
        events.emit(Happened(number=2))

    world = await build(talk.module)
    await world.send("both")
    (first, second) = await sequences(world)
    assert first[0] > 0
    assert second == (0, 0)
