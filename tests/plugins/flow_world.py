"""A service whose commands emit and whose consumers note what they hear, for the tests of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from kernel_world import World

from mainstay import Dto, Entity, Event, Events, Module, Principal, Repository, anyone
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage, State
from mainstay.kernel.worker import EventWorker
from mainstay.model.conditions import TRUE, Compare
from mainstay.model.inputs import Sort
from mainstay.model.problem import Conflict
from mainstay.ports.rows import Change, Query


class Happened(Event):
    number: int


class Unheard(Event):
    number: int


class Record(Entity):
    """What a consumer has done."""

    number: int
    consumer: str
    who: UUID


class Say(Dto):
    numbers: list[int]
    key: str | None = None
    fail: bool = False


class Talk:
    """A module, what its consumer has heard, and the numbers that it refuses: so many times, or (None) always."""

    def __init__(self, *, second: bool = False, attempts: int = 3, **options: Any) -> None:
        self.heard: list[int] = []
        self.refuses: dict[int, int | None] = {}
        self.waits: Callable[[int], Any] | None = None
        self.module = Module("talk")
        self._commands()
        self._consumer(attempts, options)
        if second:
            self._second()

    def _commands(self) -> None:
        @self.module.command("POST /say", allow=anyone)
        async def say(body: Say, events: Events) -> None:
            for number in body.numbers:
                events.emit(Happened(number=number), key=body.key)
            if body.fail:
                raise Conflict

        @self.module.command("POST /unheard", allow=anyone)
        async def unheard(events: Events) -> None:
            events.emit(Unheard(number=1))

    def _consumer(self, attempts: int, options: Mapping[str, Any]) -> None:
        @self.module.on(Happened, attempts=attempts, **options)
        async def first(event: Happened, rows: Repository[Record], who: Principal) -> None:
            if self.waits is not None:
                await self.waits(event.number)
            self.heard.append(event.number)
            await rows.add(Record(number=event.number, consumer="first", who=who.id))
            left = self.refuses.get(event.number, 0)
            if left is None or left > 0:
                self.refuses[event.number] = None if left is None else left - 1
                raise Conflict("not now: 4711")

    def _second(self) -> None:
        @self.module.on("talk.Happened")
        async def second(event: Happened, rows: Repository[Record], who: Principal) -> None:
            await rows.add(Record(number=event.number, consumer="second", who=who.id))


async def say(world: World, *numbers: int, **more: Any) -> None:
    """Emit numbers."""
    body = {"numbers": list(numbers), **more}
    await world.send("say", body=msgspec.json.encode(body), credentials=b"ann")


async def rows_of(world: World, entity: Any) -> list[Any]:
    """Return all rows of an entity, in the order of their adding."""
    transaction = world.store.begin(write=False)
    found = await transaction.rows(entity).fetch(Query(where=TRUE, sort=(Sort("id"),)))
    await transaction.rollback()
    return found


async def records(world: World) -> list[tuple[int, str]]:
    """Return what consumers have done."""
    return sorted((r.number, r.consumer) for r in await rows_of(world, Record))


async def inbox(world: World, state: State | None = None) -> list[InboxMessage]:
    """Return what is in the inbox, of one state where it is given."""
    return [row for row in await rows_of(world, InboxMessage) if state in (None, row.state)]


def number_of(row: InboxMessage | OutboxMessage) -> int:
    """Return the number of a message."""
    return int(msgspec.json.decode(row.payload)["number"])


async def drained(worker: EventWorker, rounds: int = 50) -> None:
    """Step until there is nothing more that is due."""
    for _ in range(rounds):
        if not await worker.step():
            return
    raise AssertionError("there is more and more")


async def change(world: World, entity: Any, id: UUID, **changes: Any) -> None:
    """Change a row behind everybody's back."""
    transaction = world.store.begin(write=True)
    await transaction.rows(entity).apply(Change(where=Compare("id", "eq", id), changes=changes))
    await transaction.commit()


async def begun(world: World) -> None:
    """Wait until a consumer runs."""
    async with asyncio.timeout(30):
        while not world.names["first"].running:
            await asyncio.sleep(0)


def failing(world: World, error: Exception) -> Any:
    """Return what begins transactions that cannot be committed."""
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)

        async def commit() -> None:
            raise error

        transaction.commit = commit
        return transaction

    return begin
