"""The desk: what whoever runs a service asks of its events, and has done with them.

It works on the database alone, beside any number of replicas: they heed it within a second or so. What it does with a
message is done only if that is still as it was found.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.inbox import stepped
from mainstay.kernel.flow.lateness import REDRIVEN, REPLAYED
from mainstay.kernel.flow.places import LANE, inbox_place, steps_of
from mainstay.kernel.flow.records import ConsumerState, InboxMessage, KeySequence, OutboxMessage, State
from mainstay.kernel.flow.shares import RACES
from mainstay.model.conditions import TRUE, Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import NotFound
from mainstay.ports.rows import Aggregate, Change, Query
from mainstay.ports.store import Transaction

PORTION = 200
_BESIDE = ("payload", "principal")


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message at one consumer, as it is listed; ``payload`` and ``principal`` are JSON, where it is shown whole."""

    id: UUID  # of this row
    message: UUID  # of the event
    consumer: str
    event: str
    source: str
    key: str | None
    state: str
    emitted_at: datetime
    attempts: int = 0
    parked: bool = False  # it waits behind a dead letter of its key
    due_at: datetime | None = None  # when it is looked at again
    cause: str | None = None
    detail: str | None = None
    request_id: str = ""
    sequence: int = 0
    previous: int = 0
    payload: str | None = None
    principal: str | None = None


class ConsumerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer's messages, counted."""

    name: str
    paused: bool
    known: bool  # the service has it
    pending: int = 0
    parked: int = 0
    done: int = 0
    dead: int = 0
    dropped: int = 0
    oldest: datetime | None = None  # when the oldest pending one was emitted
    since: datetime | None = None
    floor: datetime | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that waits and was done."""

    outbox: int
    outbox_oldest: datetime | None
    set_aside: int  # that the broker does not take
    keys: int
    consumers: tuple[ConsumerFigures, ...]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were set going again, and how many that waited behind them."""

    messages: int
    unparked: int = 0


class EventDesk:
    """The verbs of whoever runs a service. ``consumers`` are those that the service has."""

    def __init__(self, ports: Ports, consumers: Collection[str]) -> None:
        self._ports = ports
        self._consumers = frozenset(consumers)

    async def messages(
        self,
        *,
        state: State | None = None,
        consumer: str | None = None,
        event: str | None = None,
        key: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[Message]:
        """Return messages in the order in which they came; ``after`` is the id of the last one that was seen."""
        where: Condition = TRUE if after is None else Compare("id", "gt", after)
        wanted = {"state": state, "consumer": consumer, "event": event, "key": key}
        for name, value in wanted.items():
            if value is not None:
                where = where & Compare(name, "eq", value)
        query = Query(where=where, sort=(Sort("id"),), limit=limit, unread=_BESIDE)
        return [_message(row) for row in await self._fetch(InboxMessage, query)]

    async def message(self, id: UUID) -> list[Message]:
        """Return a message whole: one row by its id, or by the event's id one for each consumer."""
        where = Compare("id", "eq", id) | Compare("message", "eq", id)
        rows = await self._fetch(InboxMessage, Query(where=where, sort=(Sort("consumer"),)))
        return [_message(row, whole=True) for row in rows]

    async def pause(self, consumer: str) -> None:
        """Have a consumer begin nothing any more. Raises ``NotFound`` where there is none of this name."""
        await self._set_paused(consumer, paused=True)

    async def resume(self, consumer: str) -> None:
        """Have a consumer go on. Raises ``NotFound`` where there is none of this name."""
        await self._set_paused(consumer, paused=False)

    async def redrive(
        self, *, ids: Sequence[UUID] | None = None, consumer: str | None = None, event: str | None = None
    ) -> Moved:
        """Try dead letters again, with all their attempts: these, or those of a consumer or an event, or all.

        What waits behind them goes on after them, in the order of its key.
        """
        where: Condition = Compare("state", "eq", State.DEAD)
        changes = {"state": State.PENDING, "attempts": 0, "cause": REDRIVEN}
        return await self._move(where & _chosen(ids, consumer, event), changes)

    async def discard(self, ids: Sequence[UUID]) -> Moved:
        """Pass dead letters over: they are kept as dropped, and what waits behind them goes on."""
        where: Condition = Compare("state", "eq", State.DEAD)
        return await self._move(where & _chosen(ids, None, None), {"state": State.DROPPED, "cause": "discarded"})

    async def replay(self, consumer: str, since: datetime, *, event: str | None = None) -> Moved:
        """Have a consumer do again what it has done since a moment: a second effect, and meant to be one."""
        where = Compare("state", "eq", State.DONE) & Compare("emitted_at", "ge", since)
        changes = {"state": State.PENDING, "attempts": 0, "cause": REPLAYED}
        return await self._move(where & _chosen(None, consumer, event), changes)

    async def figures(self) -> Figures:
        """Return what waits and what was done. It counts every message that is kept: ask now and then only."""
        waiting = Aggregate(measures=(("count", None), ("min", "created_at")), where=Compare("place", "ge", 0))
        by_state = Aggregate(measures=(("count", None), ("min", "emitted_at")), by=("consumer", "state"))
        parked = Aggregate(measures=(("count", None),), by=("consumer",), where=_PARKED)
        transaction = self._ports.store.begin(write=False)
        try:
            outbox, inbox = transaction.rows(OutboxMessage), transaction.rows(InboxMessage)
            ((count, oldest),) = await outbox.aggregate(waiting)
            aside = await outbox.count(Compare("place", "lt", 0))
            keys = await transaction.rows(KeySequence).count(TRUE)
            counted = {(row[0], State(row[1])): row[2:] for row in await inbox.aggregate(by_state)}
            behind = dict(await inbox.aggregate(parked))
            states = {row.name: row for row in await transaction.rows(ConsumerState).fetch(Query())}
        finally:
            await transaction.rollback()
        names = sorted({name for name, _ in counted if name} | states.keys() | self._consumers)
        consumers = tuple(self._figures(name, counted, behind.get(name, 0), states.get(name)) for name in names)
        return Figures(outbox=count, outbox_oldest=oldest, set_aside=aside, keys=keys, consumers=consumers)

    def _figures(
        self, name: str, counted: dict[tuple[str, State], Any], parked: int, state: ConsumerState | None
    ) -> ConsumerFigures:
        numbers = {each.value: counted.get((name, each), (0, None))[0] for each in State}
        return ConsumerFigures(
            name=name,
            paused=state is not None and state.paused,
            known=name in self._consumers,
            parked=parked,
            oldest=counted.get((name, State.PENDING), (0, None))[1],
            since=None if state is None else state.created_at,
            floor=None if state is None else state.floor,
            **numbers,
        )

    async def _set_paused(self, consumer: str, *, paused: bool) -> None:
        found = await self._fetch(ConsumerState, Query(where=Compare("name", "eq", consumer), limit=1))
        if not found and consumer not in self._consumers:
            raise NotFound(f"there is no consumer {consumer}")
        now = self._ports.clock.now()

        async def write(transaction: Transaction) -> None:
            rows = transaction.rows(ConsumerState)
            if found:
                await rows.apply(Change(where=Compare("name", "eq", consumer), changes={"paused": paused}))
                return
            id = self._ports.ids.next()
            rows.insert([ConsumerState(id=id, version=1, created_at=now, updated_at=now, name=consumer, paused=paused)])

        await self._write(write)

    async def _move(self, where: Condition, changes: dict[str, Any]) -> Moved:
        """Change messages in portions, and have those go on that wait behind them."""
        messages = unparked = 0
        after: UUID | None = None
        while True:
            here = where if after is None else where & Compare("id", "gt", after)
            query = Query(where=here, sort=(Sort("id"),), limit=self._portion(), unread=_BESIDE)
            rows = await self._fetch(InboxMessage, query)
            if not rows:
                return Moved(messages=messages, unparked=unparked)
            after = rows[-1].id
            moved, freed = await self._move_portion(rows, changes)
            messages, unparked = messages + moved, unparked + freed

    async def _move_portion(self, rows: Sequence[InboxMessage], changes: dict[str, Any]) -> tuple[int, int]:
        freed = 0

        async def write(transaction: Transaction) -> None:
            nonlocal freed
            stored, now = transaction.rows(InboxMessage), self._ports.clock.now()
            for row in rows:
                place = inbox_place(row.consumer, row.partition, now) if changes["state"] is State.PENDING else None
                given = {**changes, "place": place, "due_at": None, "detail": None}
                stored.enqueue(stepped(row, given, self._ports))
            freed += await unpark(transaction, rows, now)

        if await self._write(write):
            return len(rows), freed
        if len(rows) == 1:
            return 0, 0  # it is not as it was found any more
        one_by_one = [await self._move_portion([row], changes) for row in rows]
        return sum(moved for moved, _ in one_by_one), sum(freed for _, freed in one_by_one)

    def _portion(self) -> int:
        most = self._ports.store.capabilities.max_writes
        return PORTION if most is None else max(1, min(PORTION, most // 8))

    async def _fetch(self, entity: Any, query: Query) -> list[Any]:
        transaction = self._ports.store.begin(write=False, single=True, latest=True)
        try:
            return await transaction.rows(entity).fetch(query)
        finally:
            await transaction.rollback()

    async def _write(self, write: Any) -> bool:
        """Write in one transaction, and ring for whoever delivers. Returns False where another was quicker."""
        transaction = self._ports.store.begin(write=True)
        try:
            await write(transaction)
            await transaction.commit()
        except RACES:
            await transaction.rollback()
            return False
        except BaseException:
            await transaction.rollback()
            raise
        self._ports.store.ring()
        return True


_PARKED = Compare("state", "eq", State.PENDING) & Compare("place", "eq", None) & Compare("due_at", "eq", None)


async def unpark(transaction: Transaction, rows: Collection[InboxMessage], now: datetime) -> int:
    """Have those messages go on that wait behind dead letters that are none any more; return how many there are."""
    freed = 0
    for lane in sorted({row.step[:LANE] for row in rows if row.step is not None and row.state is State.DEAD}):
        first, end = steps_of(lane)
        behind = _PARKED & Compare("step", "gt", first) & Compare("step", "lt", end)
        freed += await transaction.rows(InboxMessage).apply(Change(where=behind, changes={"due_at": now}))
    return freed


def _chosen(ids: Sequence[UUID] | None, consumer: str | None, event: str | None) -> Condition:
    where: Condition = TRUE if ids is None else Among("id", tuple(ids))
    for name, value in (("consumer", consumer), ("event", event)):
        if value is not None:
            where = where & Compare(name, "eq", value)
    return where


def _message(row: InboxMessage, *, whole: bool = False) -> Message:
    waits = row.state is State.PENDING and row.place is None
    return Message(
        id=row.id,
        message=row.message,
        consumer=row.consumer,
        event=row.event,
        source=row.source,
        key=row.key,
        state=row.state.value,
        emitted_at=row.emitted_at,
        attempts=row.attempts,
        parked=waits and row.due_at is None,
        due_at=row.due_at,
        cause=row.cause,
        detail=row.detail,
        request_id=row.request_id,
        sequence=row.sequence,
        previous=row.previous,
        payload=row.payload if whole else None,
        principal=row.principal if whole else None,
    )
