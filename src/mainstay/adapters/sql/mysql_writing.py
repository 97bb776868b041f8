"""Writes carried out on one connection to MariaDB or MySQL, in as few round trips as can be.

MariaDB takes several writes, the transaction around them included, as one compound statement, which ends at the first
that fails. Which one that was it does not say; so they are then carried out anew one by one, only to be told, and
undone again. MySQL has no such statement outside of stored programs: there each write is a round trip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.mysql import Link
from mainstay.adapters.sql.outages import StaleStatement
from mainstay.adapters.sql.server_writing import Group, Writer
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.writes import Insert, Write
from mainstay.model.problem import SerializationConflict

MOST_ROWS = 500
MOST_VALUES = 60_000  # the protocol has room for 65,535
MOST_BYTES = 4 << 20  # a server takes 16 MiB in one packet, where nobody changed that
FEW_ROWS = 16
"""Insertions of up to so many rows are kept prepared, and those of the most rows."""

MOST_WRITES = 32
FEW_WRITES = 6
"""Compound statements of up to so many writes are kept prepared."""

MISSED = 30001
"""The number that a compound statement ends with where a write met another number of rows than it must."""

_UNDO = "DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END"
_SIGNAL = f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO={MISSED}"


def grouped(writes: Sequence[Write], *, together: bool) -> Iterator[Group]:
    """Part writes, in their order, into groups that the server takes at once: single ones, unless ``together``."""
    group: Group = []
    size = weight = 0
    for write in _portioned(writes):
        values, length = _values(write), _length(write)
        full = size + values > MOST_VALUES or weight + length > MOST_BYTES or len(group) == MOST_WRITES
        if group and (full or not together):
            yield group
            group, size, weight = [], 0, 0
        group.append(write)
        size += values
        weight += length
    if group:
        yield group


def _portioned(writes: Sequence[Write]) -> Iterator[Write]:
    for write in writes:
        if isinstance(write, Insert):
            yield from (Insert(write.statements, rows) for rows in portions(write.rows))
        else:
            yield write


def _values(write: Write) -> int:
    return sum(map(len, write.rows)) if isinstance(write, Insert) else len(write.bindings)


def _length(write: Write) -> int:
    return sum(map(_long, write.rows)) if isinstance(write, Insert) else _long(write.bindings)


def _long(values: Sequence[Any]) -> int:
    """Return how long the texts and bytes are."""
    return sum(len(value) for value in values if isinstance(value, str | bytes))


def portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Part rows into portions of a size that the server takes; one that is too large by itself it may refuse."""
    portion: list[Row] = []
    size = 0
    for row in rows:
        length = _long(row)
        if portion and (len(portion) == most_rows(len(row)) or size + length > MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def most_rows(columns: int) -> int:
    """Return how many rows of so many columns go into one statement."""
    return max(1, min(MOST_ROWS, MOST_VALUES // columns))


def stands_alone(group: Group) -> bool:
    """Whether a group outside of any transaction undoes itself where it fails."""
    first = group[0]
    return len(group) > 1 or isinstance(first, Insert) or first.change.expected in (None, 1)


def compound(group: Group, *, alone: bool) -> str:
    """Return the statement that carries writes out, in a transaction of its own where it is ``alone``."""
    steps = [step for write in group for step in _steps(write)]
    framed = [_UNDO, "START TRANSACTION", *steps, "COMMIT"] if alone else steps
    return f"BEGIN NOT ATOMIC {'; '.join(framed)}; END"


def _steps(write: Write) -> Iterator[str]:
    if isinstance(write, Insert):
        yield insertion(write.statements, len(write.rows))
        return
    yield write.statement
    if write.change.expected is not None:
        yield f"IF ROW_COUNT() <> {int(write.change.expected)} THEN {_SIGNAL}; END IF"


def insertion(statements: Statements, count: int) -> str:
    """Return the insertion of so many rows."""
    places = ", ".join("?" * len(statements.columns.by_name))
    return statements.insert + f", ({places})" * (count - 1)


def _bindings(write: Write) -> Iterator[Any]:
    if isinstance(write, Insert):
        return (value for row in write.rows for value in row)
    return iter(write.bindings)


class MysqlWriter(Writer[Link]):
    """Carries writes out on a connection."""

    __slots__ = ()

    async def carry_out(self, group: Group) -> bool:
        if len(group) == 1:
            await self.one(group[0])
            return True
        text = compound(group, alone=not self._link.in_transaction)
        values = [value for write in group for value in _bindings(write)]
        try:
            await self._link.change(text, values, self._timeout, kept=len(group) <= FEW_WRITES)
        except (ConstraintFailed, StatementFailed, StaleStatement, SerializationConflict) as error:
            await self._link.execute("ROLLBACK", self._timeout)  # for what no handler is called: BEGIN would commit it
            if isinstance(error, ConstraintFailed) or getattr(error, "code", None) == MISSED:
                return False
            raise
        return True

    def _text(self, statement: str) -> str:
        return statement

    async def _put(self, statements: Statements, rows: Sequence[Row]) -> None:
        count = len(rows)
        kept = count <= FEW_ROWS or count == most_rows(len(rows[0]))
        values = [value for row in rows for value in row]
        await self._link.change(insertion(statements, count), values, self._timeout, kept=kept)
