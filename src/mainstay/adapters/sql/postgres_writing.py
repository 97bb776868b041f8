"""Writes carried out on one connection to PostgreSQL, in as few round trips as can be.

Writes that do not touch each other's rows go as one statement. Which of them broke a rule that statement does not say,
nor which was the first in their order; so where it fails, they are carried out anew one by one, only to be told, and
undone again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainstay.adapters.sql.conflicts import delete_conflict, insert_conflict, update_conflict
from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.postgres import Link
from mainstay.adapters.sql.postgres.texts import Texts
from mainstay.adapters.sql.writes import Alteration, Insert, Write, missed
from mainstay.model.problem import SerializationConflict

MANY = 500
"""So many rows of one entity are copied in, rather than inserted."""

_ROOM = 2000  # values of one statement; the protocol has room for 65,535
_DIVISION_BY_ZERO = "22012"

Group = list[Write]


def grouped(writes: Sequence[Write]) -> Iterator[Group]:
    """Part writes, in their order, into groups of which each can go as one statement."""
    group: Group = []
    tables: set[str] = set()
    size = 0
    for write in writes:
        values, table = _values(write), write.statements.table.name
        if group and (table in tables or size + values > _ROOM or _is_apart(write)):
            yield group
            group, tables, size = [], set(), 0
        if _is_apart(write):
            yield [write]
            continue
        group.append(write)
        tables.add(table)
        size += values
    if group:
        yield group


def _values(write: Write) -> int:
    if isinstance(write, Insert):
        return len(write.statements.columns.by_name)
    return len(write.bindings)


def _is_apart(write: Write) -> bool:
    """Whether a write may touch rows of other tables, or must meet another number of rows than one."""
    if isinstance(write, Insert):
        return len(write.rows) >= MANY
    cascades = write.change.changes is None and write.statements.referenced
    return cascades or write.change.expected not in (None, 1)


class Writer:
    """Carries writes out on a connection."""

    __slots__ = ("_begin", "_link", "_texts", "_timeout")

    def __init__(self, link: Link, texts: Texts, timeout: float | None, begin: str) -> None:
        self._begin = begin
        self._link = link
        self._texts = texts
        self._timeout = timeout

    async def carry_out(self, group: Group) -> bool:
        """Carry a group out, in a transaction or as one by itself, and return whether it succeeded.

        False says that it was undone, and why is to be found out by ``diagnose``. One write by itself raises what is
        wrong with it.
        """
        if len(group) == 1:
            await self.one(group[0])
            return True
        bindings: list[Any] = []
        parts = [self._part(write, bindings) for write in group]
        try:
            await self._link.fetch(self._texts.combined(parts), bindings, self._timeout)
        except ConstraintFailed:
            return False
        except StatementFailed as error:
            if error.code != _DIVISION_BY_ZERO:
                raise
            return False
        return True

    def _part(self, write: Write, bindings: list[Any]) -> tuple[str, bool]:
        if isinstance(write, Insert):
            text, values = _insertion(write)
            bindings.extend(values)
            return text, False
        bindings.extend(write.bindings)
        return write.statement, write.change.expected == 1

    async def one(self, write: Write) -> int:
        """Carry out one write, and return how many rows it met. Raises the Problem of what is wrong with it."""
        if isinstance(write, Insert):
            return await self._insert(write)
        statements, change = write.statements, write.change
        try:
            met = await self._link.change(self._texts.numbered(write.statement), write.bindings, self._timeout)
        except ConstraintFailed as error:
            if change.changes is None:
                raise delete_conflict(error, statements) from error
            raise update_conflict(error, statements, change.changes) from error
        if change.expected is not None and met != change.expected:
            raise missed(write, there=await self._is_there(write))
        return met

    async def _is_there(self, write: Alteration) -> bool:
        """Whether the row of a change that met none is there under another version."""
        if write.change.version is None:
            return False
        statement, bindings = write.statements.exists(write.change.where)
        found = await self._link.fetch(self._texts.numbered(statement), bindings, self._timeout)
        return bool(found)

    async def _insert(self, write: Insert) -> int:
        statements, rows = write
        try:
            if len(rows) >= MANY:
                await self._link.copy(statements.table.name, list(statements.columns.by_name), rows, self._timeout)
            else:
                text, values = _insertion(write)
                await self._link.fetch(self._texts.numbered(text), values, self._timeout)
        except ConstraintFailed as error:
            raise insert_conflict(error, statements, rows) from error
        return len(rows)

    async def diagnose(self, writes: Sequence[Write]) -> None:
        """Carry writes out one by one in a transaction of their own, to raise what the first fault among them is.

        It always raises: where there is no fault any more, the call met a concurrent one and is to be run again.
        """
        if self._link.in_transaction:
            await self._link.execute("ROLLBACK", self._timeout)
        await self._link.execute(self._begin, self._timeout)
        for write in writes:
            await self.one(write)
        raise SerializationConflict("what was in the way is gone")


def _insertion(write: Insert) -> tuple[str, Sequence[Any]]:
    statements, rows = write
    if len(rows) == 1 or statements.insert_many is None:
        return statements.insert, rows[0]
    return statements.insert_many, list(zip(*rows, strict=True))
