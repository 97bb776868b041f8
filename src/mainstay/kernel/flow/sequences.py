"""Sequences of keys: numbers that rise with each event of one kind and key, each with the one before it.

A sequence is the microsecond of its event, or the one behind the sequence before it: so it tells when it was given, and
a key whose row was lost goes on above what it had. What receives events knows by the one before whether it lacks any,
which numbers that only counted up would tell as well, were they not begun again with the row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from mainstay.kernel.flow.places import id_of, microseconds
from mainstay.kernel.flow.records import KeySequence
from mainstay.model.conditions import Among, Compare
from mainstay.model.inputs import Sort
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction


class Line(NamedTuple):
    """What events follow each other in: a consumer is of one kind of event, and need not get others of the same key."""

    event: str  # its full name
    key: str


class Turn(NamedTuple):
    """The sequence of one event, and that of the event before it in its line."""

    sequence: int
    previous: int


UNORDERED = Turn(0, 0)


class Sequences:
    """The sequences of some lines, locked until the end of a transaction."""

    def __init__(self, found: Collection[KeySequence], lines: Sequence[Line], now: datetime) -> None:
        self._now = now
        self._found = {Line(row.event, row.key): row for row in found}
        self._last = {line: self._found[line].last if line in self._found else 0 for line in lines}

    @classmethod
    async def locked(cls, transaction: Transaction, lines: Sequence[Line], now: datetime) -> Sequences:
        """Return the sequences of lines. Who else emits in one of them waits, or is run again."""
        ids = tuple(sorted(id_of(*line) for line in lines))
        where = Compare("id", "eq", ids[0]) if len(ids) == 1 else Among("id", ids)
        query = Query(where=where, sort=(Sort("id"),), lock=True)  # in one order, so that none waits for another
        return cls(await transaction.rows(KeySequence).fetch(query), lines, now)

    def next(self, event: str, key: str | None) -> Turn:
        """Return the sequence of the next event of a line."""
        if key is None:
            return UNORDERED
        line = Line(event, key)
        previous = self._last[line]
        sequence = self._last[line] = max(microseconds(self._now), previous + 1)
        return Turn(sequence, previous)

    def write(self, transaction: Transaction) -> None:
        """Queue what is known now of the keys."""
        rows, now = transaction.rows(KeySequence), self._now
        new = []
        for line, last in self._last.items():
            row = self._found.get(line)
            if row is None:
                id = id_of(*line)
                new.append(
                    KeySequence(
                        id=id,
                        version=1,
                        created_at=now,
                        updated_at=now,
                        event=line.event,
                        key=line.key,
                        last=last,
                    )
                )
                continue
            changes = {"last": last, "version": row.version + 1, "updated_at": now}
            where = Compare("id", "eq", row.id)
            rows.enqueue(Change(where=where, changes=changes, id=row.id, version=row.version, expected=1, before=row))
        if new:
            rows.insert(new)


def told_of_keys(error: BaseException, *, emitted: bool) -> None:
    """Raise ``SerializationConflict`` where another has used a key first at the same time: the command is run again.

    Ids are made new for all rows but those of keys, so that no other row can be there already.
    """
    if emitted and isinstance(error, UniqueConflict) and error.members.get("field") == "id":
        raise SerializationConflict("another command has emitted the first event of this key") from error
