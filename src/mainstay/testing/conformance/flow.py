"""Events on a store: emitted in order, moved to the inbox, done once, tried again, given up and set going again.

Subclass ``EventsConformance`` in a test file and give it ``make_store``, as for the other suites of stores.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from pathlib import Path

from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.problem import Conflict
from mainstay.model.service import Service
from mainstay.model.structs import Entity, Event
from mainstay.ports.events import Events
from mainstay.ports.repository import Repository
from mainstay.ports.store import Store
from mainstay.testing.client import Client
from mainstay.testing.fixed import FixedClock


class Rung(Event):
    """A bell was rung."""

    number: int


class Heard(Entity):
    """A bell that was heard."""

    number: int
    consumer: str


class _Tower:
    """A service of two consumers, one of which refuses some numbers for a while."""

    def __init__(self) -> None:
        self.refuses: set[int] = set()
        module = Module("tower")

        @module.command("POST /ring", allow=anyone)
        async def ring(number: int, events: Events, key: str | None = None) -> None:
            events.emit(Rung(number=number), key=key)

        @module.on(Rung, attempts=2)
        async def first(event: Rung, rows: Repository[Heard]) -> None:
            await rows.add(Heard(number=event.number, consumer="first"))
            if event.number in self.refuses:
                raise Conflict

        @module.on(Rung)
        async def second(event: Rung, rows: Repository[Heard]) -> None:
            await rows.add(Heard(number=event.number, consumer="second"))

        self.service = Service("tower", modules=[module])


class _Clock(FixedClock):
    """The wall time is the test's; monotonic time goes on by itself too, as a store has it by which deadlines go."""

    def monotonic(self) -> float:
        return time.monotonic() + super().monotonic()


async def _ring(client: Client, number: int, key: str | None = None) -> None:
    answer = await client.post("/ring", json={"number": number, **({} if key is None else {"key": key})})
    assert answer.status in (200, 204), answer.body


async def _heard(client: Client, consumer: str) -> list[int]:
    rows = await client.stored(Heard, consumer=consumer)
    return [row.number for row in rows]


class EventsConformance(ABC):
    """Outbox, inbox, sequences and leases, as the kernel's own rows are kept."""

    @abstractmethod
    def make_store(self, folder: Path) -> Store:
        """Return a store that is not started, on what ``folder`` stands for."""

    async def test_events_of_a_key_are_done_in_order_and_once(self, tmp_path: Path) -> None:
        tower = _Tower()
        async with Client(tower.service, store=self.make_store(tmp_path), clock=_Clock()) as client:
            for number in range(6):
                await _ring(client, number, key="k" if number % 2 else None)
            assert await client.deliver() == 6
            for consumer in ("first", "second"):
                found = await _heard(client, consumer)
                assert sorted(found) == list(range(6))
                assert [number for number in found if number % 2] == [1, 3, 5]
            assert await client.waiting() == []
            keyed = [row for row in await client.stored(InboxMessage, consumer="first") if row.key == "k"]
            assert [row.previous for row in keyed] == [0, keyed[0].sequence, keyed[1].sequence]
            assert await client.deliver() == 0

    async def test_what_fails_is_put_off_given_up_and_set_going_again(self, tmp_path: Path) -> None:
        tower = _Tower()
        async with Client(tower.service, store=self.make_store(tmp_path), clock=_Clock()) as client:
            tower.refuses = {1}
            for number in (1, 2):
                await _ring(client, number, key="k")
            await client.deliver()
            assert await _heard(client, "first") == []
            client.clock.advance(10)
            await client.deliver()
            states = [row.state for row in await client.stored(InboxMessage, consumer="first")]
            assert states == [State.DEAD, State.PENDING]
            tower.refuses.clear()
            moved = await client.events.redrive()
            assert (moved.messages, moved.unparked) == (1, 1)
            client.clock.advance(1)
            assert await client.deliver() == 2
            assert await _heard(client, "first") == [1, 2]

    async def test_events_of_one_key_at_once_are_numbered_without_a_gap(self, tmp_path: Path) -> None:
        tower = _Tower()
        async with Client(tower.service, store=self.make_store(tmp_path), clock=_Clock()) as client:
            await _ring(client, 0, key="k")
            sent = (client.post("/ring", json={"number": number, "key": "k"}) for number in range(1, 4))
            answers = await asyncio.gather(*sent)
            emitted = 1 + sum(answer.status < 300 for answer in answers)
            assert await client.deliver() == emitted
            rows = sorted(await client.stored(InboxMessage, consumer="second"), key=lambda row: row.sequence)
            assert [row.previous for row in rows] == [0, *(row.sequence for row in rows[:-1])]
            assert len(rows) == emitted
