"""What events follow each other in: those of one kind and key, since a consumer gets no others."""

from __future__ import annotations

from kernel_world import Build

from mainstay import Event, Events, Module, anyone
from mainstay.kernel.flow.records import KeySequence, OutboxMessage
from mainstay.ports.rows import Query

till = Module("till")


class Rung(Event):
    number: int


class Paid(Event):
    number: int


@till.command("POST /ring", allow=anyone)
async def ring(events: Events) -> None:
    for event in (Rung(number=1), Paid(number=2), Rung(number=3), Rung(number=4), Paid(number=5)):
        events.emit(event, key="other" if event.number == 4 else "k")


async def test_a_sequence_is_given_to_events_of_one_kind_and_key(build: Build) -> None:
    world = await build(till)
    for _ in range(2):
        await world.send("ring")
    query = world.store.begin(write=False)
    rows = {(row.event, row.key, row.sequence): row for row in await query.rows(OutboxMessage).fetch(Query())}
    lines = {(row.event, row.key): row.last for row in await query.rows(KeySequence).fetch(Query())}
    await query.rollback()
    assert lines.keys() == {("till.Rung", "k"), ("till.Rung", "other"), ("till.Paid", "k")}
    for (event, key), last in lines.items():
        walked = []
        while last:
            row = rows[event, key, last]
            walked.append(row.payload)
            last = row.previous
        assert walked == sorted(walked, reverse=True) or len(set(walked)) < len(walked)
        assert len(walked) == {"till.Rungk": 4, "till.Rungother": 2, "till.Paidk": 4}[event + key]
