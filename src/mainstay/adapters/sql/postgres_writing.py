"""Writes carried out on one connection to PostgreSQL, in as few round trips as can be.

Writes that do not touch each other's rows go as one statement. Which of them broke a rule that statement does not say,
nor which was the first in their order; so where it fails, they are carried out anew one by one, only to be told, and
undone again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.postgres import Link
from mainstay.adapters.sql.postgres.texts import ALL, ONE, Texts
from mainstay.adapters.sql.server_writing import Group, Merged, Writer
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.writes import Insert, Steps, Write

MANY = 500
"""So many rows of one entity are copied in, rather than inserted."""

_ROOM = 2000  # values of one statement; the protocol has room for 65,535
_DIVISION_BY_ZERO = "22012"


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


class PostgresWriter(Writer[Link]):
    """Carries writes out on a connection."""

    __slots__ = ("_texts",)

    def __init__(self, link: Link, texts: Texts, timeout: float | None, begin: str) -> None:
        super().__init__(link, timeout, begin)
        self._texts = texts

    async def carry_out(self, group: Group) -> bool:
        if len(group) == 1:
            await self.one(group[0])
            return True
        return await self._combined(group)

    async def carry_out_merged(self, group: Merged) -> bool:
        return await self._combined(group)

    async def _combined(self, group: Sequence[Write | Steps]) -> bool:
        """Carry writes out as one statement. Returns whether it succeeded: else nothing of it is there."""
        bindings: list[Any] = []
        parts = [self._part(write, bindings) for write in group]
        bindings.extend(len(write.rows) for write in group if isinstance(write, Steps))
        try:
            await self._link.fetch(self._texts.combined(parts), bindings, self._timeout)
        except ConstraintFailed:
            return False
        except StatementFailed as error:
            if error.code != _DIVISION_BY_ZERO:
                raise
            return False
        return True

    def _part(self, write: Write | Steps, bindings: list[Any]) -> tuple[str, str]:
        """Return a write's statement, and what must not be 0 of the rows that it met."""
        if isinstance(write, Insert):
            text, values = _insertion(*write)
            bindings.extend(values)
            return text, ""
        if isinstance(write, Steps):
            bindings.extend(zip(*write.rows, strict=True))
            return _stepping(write.statements, write.names), ALL
        bindings.extend(write.bindings)
        return write.statement, ONE if write.change.expected == 1 else ""

    def _text(self, statement: str) -> str:
        return self._texts.numbered(statement)

    async def _put(self, statements: Statements, rows: Sequence[Row]) -> None:
        if len(rows) >= MANY:
            await self._link.copy(statements.table.name, list(statements.columns.by_name), rows, self._timeout)
        else:
            text, values = _insertion(statements, rows)
            await self._link.fetch(self._texts.numbered(text), values, self._timeout)


def _insertion(statements: Statements, rows: Sequence[Row]) -> tuple[str, Sequence[Any]]:
    if len(rows) == 1 or statements.insert_many is None:
        return statements.insert, rows[0]
    return statements.insert_many, list(zip(*rows, strict=True))


def _stepping(statements: Statements, names: tuple[str, ...]) -> str:
    """Return the update of rows by lists: of values of each of these fields, of ids and of versions."""

    def make() -> str:
        columns = [statements.columns[name] for name in (*names, "id", "version")]
        told = [f"told{number}" for number in range(len(columns))]
        lists = ", ".join(f"?::{column.storage.partition('(')[0]}[]" for column in columns)
        *values, met, version = [f"{column.sql} = {name}" for column, name in zip(columns, told, strict=True)]
        source = f"unnest({lists}) AS told({', '.join(told)})"
        where = f"there.{met} AND there.{version}"
        changed = f"SET {', '.join(values)} FROM {source} WHERE {where}"
        return f"UPDATE {statements.source} AS there {changed}"

    return statements.own(("steps", *names), make)


def may_stand_alone(group: Group) -> bool:
    """Whether a group undoes itself where it fails: only of a single write may that depend on how many rows it met."""
    return all(isinstance(write, Insert) or write.change.expected in (None, 1) for write in group)
