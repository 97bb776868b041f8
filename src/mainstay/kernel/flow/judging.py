"""Judging: whether a message may run now, by what has become of the one before it of its key at its consumer.

A message that may not is put where nobody looks before that can have changed: behind a pause, or parked behind a dead
letter. So a key that waits is in nobody's way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mainstay.kernel.flow.consumers import Consumers
from mainstay.kernel.flow.lateness import comes, is_late, may_be_late
from mainstay.kernel.flow.places import LANE, microseconds, step_of, steps_of
from mainstay.kernel.flow.queues import ConsumerQueue, lane_name
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.conditions import Among, Compare
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

GAP = timedelta(minutes=3)
"""How long a message waits for one before it that has not come.

What a process had taken when it was killed comes again after 15 seconds from most brokers, after a minute from SQS; and
who has it then may be killed, too.
"""

LOOK = timedelta(seconds=1)
"""How often it is looked whether that has come."""

SOON = timedelta(milliseconds=200)

_BESIDE = ("payload", "principal")

Changes = Mapping[str, Any]


class Verdict(NamedTuple):
    """What is to be changed of a message; None: it may run. ``behind`` is the step in memory that it runs behind."""

    row: InboxMessage
    changes: Changes | None
    behind: str | None = None


def put_off(until: datetime | None) -> Changes:
    """Return what puts a message off; None: until the dead letter before it is none any more."""
    return {"place": None, "due_at": until}


PARKED: Changes = put_off(None)
BEGUN: Changes = {"previous": 0}  # nothing is waited for any more


class Judge:
    """Judges messages by what a transaction sees. ``shuffled`` says that they may come out of their order."""

    def __init__(self, known: Consumers, *, shuffled: bool) -> None:
        self._known = known
        self._shuffled = shuffled

    async def judge(
        self, transaction: Transaction, queue: ConsumerQueue, rows: Sequence[InboxMessage], now: datetime
    ) -> list[Verdict]:
        """Return the verdicts on messages of one consumer, in the order of their sequences."""
        wanted = {_step_before(row) for row in rows if queue.ordered(row) and row.previous}
        loaded = {step for step in wanted if queue.has_step(step)}
        found = await self._before(transaction, wanted - loaded - {row.step for row in rows})
        case = _Case(transaction, queue, found, loaded, now)
        verdicts = []
        for row in sorted(rows, key=lambda each: (each.sequence, each.id)):
            changes = await self._changes(case, row)
            behind = case.in_memory(row) if changes is None else None
            case.note(row, changes)
            verdicts.append(Verdict(row, changes, behind))
        return verdicts

    async def _before(self, transaction: Transaction, steps: Collection[str]) -> dict[str, InboxMessage]:
        """Read messages by their steps."""
        if not steps:
            return {}
        query = Query(where=Among("step", tuple(sorted(steps))), unread=_BESIDE)
        return {row.step: row for row in await transaction.rows(InboxMessage).fetch(query) if row.step is not None}

    async def _changes(self, case: _Case, row: InboxMessage) -> Changes | None:
        queue = case.queue
        if row.step is None:
            return None
        if queue.is_passed(row):  # it will be found late when that one has ended
            return put_off(case.now + SOON)
        if queue.latest_only:
            late = may_be_late(row, latest_only=True, shuffled=self._shuffled) and await is_late(case.transaction, row)
            return dropped() if late else None
        lane = lane_name(row)
        if lane in case.held:
            return case.held[lane]
        if not row.previous:
            return await self._first(case, row)
        if case.in_memory(row) is not None:
            return None
        before = case.before.get(_step_before(row))
        if before is None:
            return await self._missing(case, row)
        changes = None if queue.has_ended(before) else _behind(case, before)
        if changes is None and may_be_late(row, latest_only=False, shuffled=self._shuffled):
            return await self._first(case, row)
        return changes

    async def _first(self, case: _Case, row: InboxMessage) -> Changes | None:
        """Judge a message that waits for none: where messages are shuffled, a later one may have begun."""
        late = self._shuffled and comes(row) and await is_late(case.transaction, row)
        return dead("late", "later messages of its key were done before it came") if late else None

    async def _missing(self, case: _Case, row: InboxMessage) -> Changes | None:
        """Judge a message whose predecessor is not there: it was never for this consumer, or has not come yet."""
        if not self._shuffled:
            return None
        if row.previous >= microseconds(self._known.horizon(row.consumer)):
            end = row.created_at + GAP
            if case.now < end:
                return put_off(min(end, case.now + LOOK))
            if await _is_seen(case, row):
                return dead("gap", "the message before it of its key has not come")
        return await self._first(case, row) or BEGUN


class _Case:
    """What is known while the messages of one consumer are judged.

    Of those in ``loaded``, which were in memory when it was asked for the others, only memory tells: they may end any
    time, and no answer says what has become of them.
    """

    def __init__(
        self,
        transaction: Transaction,
        queue: ConsumerQueue,
        before: Mapping[str, InboxMessage],
        loaded: Collection[str],
        now: datetime,
    ) -> None:
        self.transaction = transaction
        self.queue = queue
        self.before = before
        self.loaded = loaded
        self.now = now
        self.coming: set[str] = set()  # steps that run before those behind them
        self.held: dict[str, Changes] = {}  # by lane: what those behind one that may not run are changed to

    def in_memory(self, row: InboxMessage) -> str | None:
        """Return the step of the message before one, where that runs before it: it was in memory, or will be."""
        if not (self.queue.ordered(row) and row.previous):
            return None
        step = _step_before(row)
        return step if step in self.loaded or step in self.coming else None

    def note(self, row: InboxMessage, changes: Changes | None) -> None:
        if row.step is None or self.queue.latest_only:
            return
        if changes is None:
            self.coming.add(row.step)
        elif changes is BEGUN:
            self.held[lane_name(row)] = put_off(self.now)
        elif "state" not in changes:
            self.held[lane_name(row)] = changes
        elif self.queue.parks:
            self.held[lane_name(row)] = PARKED
        else:
            self.coming.add(row.step)


def _behind(case: _Case, before: InboxMessage) -> Changes | None:
    """Judge a message by the one before it."""
    if before.state in (State.DONE, State.DROPPED):
        return None
    if before.state is State.DEAD:
        return PARKED if case.queue.parks else None
    if before.due_at is not None:
        return put_off(max(before.due_at, case.now + SOON))
    return PARKED if before.place is None else put_off(case.now + SOON)


def dead(cause: str, detail: str) -> Changes:
    """Return what makes a message a dead letter."""
    return {"state": State.DEAD, "place": None, "due_at": None, "cause": cause, "detail": detail}


def dropped() -> Changes:
    """Return what passes a message over."""
    return {"state": State.DROPPED, "place": None, "due_at": None, "cause": "late"}


def _step_before(row: InboxMessage) -> str:
    return step_of((row.step or "")[:LANE], row.previous)


async def _is_seen(case: _Case, row: InboxMessage) -> bool:
    """Whether the consumer has had an earlier message of the key."""
    first, _ = steps_of((row.step or "")[:LANE])
    earlier = Compare("step", "gt", first) & Compare("step", "lt", row.step)
    return bool(await case.transaction.rows(InboxMessage).fetch(Query(where=earlier, limit=1, unread=_BESIDE)))
