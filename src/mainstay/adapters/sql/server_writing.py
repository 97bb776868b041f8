"""Writes carried out on a connection to a database server, and told in the terms of entities where they fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.conflicts import delete_conflict, insert_conflict, update_conflict
from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.pooling import L
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.upserts import Upsert
from mainstay.adapters.sql.writes import Alteration, Insert, Steps, Write, missed
from mainstay.model.problem import SerializationConflict

Group = list[Write]
"""Writes that are sent together."""

Merged = list[Insert | Steps]
"""Writes of several commands that are sent together."""


class Writer(ABC, Generic[L]):
    """Carries writes out on a connection."""

    __slots__ = ("_begin", "_link", "_timeout")

    def __init__(self, link: L, timeout: float | None, begin: str) -> None:
        self._begin = begin
        self._link = link
        self._timeout = timeout

    @abstractmethod
    async def carry_out(self, group: Group) -> bool:
        """Carry a group out, in a transaction or as one by itself, and return whether it succeeded.

        False says that it was undone, and why is to be found out by ``diagnose``. One write by itself raises what is
        wrong with it.
        """

    async def carry_out_merged(self, group: Merged) -> bool:
        """Carry out what several commands do, as ``carry_out`` does. ``Steps`` come where the store shares changes."""
        return await self.carry_out([one for one in group if isinstance(one, Insert)])

    @abstractmethod
    async def _put(self, statements: Statements, rows: Sequence[Row]) -> None:
        """Insert encoded rows."""

    @abstractmethod
    def _text(self, statement: str) -> str:
        """Return a statement as the driver takes it."""

    async def one(self, write: Write | Upsert) -> int:
        """Carry out one write, and return how many rows it met. Raises the Problem of what is wrong with it."""
        if isinstance(write, Upsert):
            return len(await self.merge(write))
        if isinstance(write, Insert):
            return await self._insert(write)
        statements, change = write.statements, write.change
        try:
            met = await self._link.change(self._text(write.statement), write.bindings, self._timeout)
        except ConstraintFailed as error:
            if change.changes is None:
                raise delete_conflict(error, statements) from error
            raise update_conflict(error, statements, change.changes) from error
        if change.expected is not None and met != change.expected:
            raise missed(write, there=await self._is_there(write))
        return met

    async def merge(self, upsert: Upsert) -> list[Row]:
        """Add rows or change others, and return those that were added or changed. Raises as ``one`` does."""
        found: list[Row] = []
        try:
            for statement, bindings in upsert.parts():
                found += await self._link.fetch(self._text(statement), bindings, self._timeout)
        except ConstraintFailed as error:
            raise insert_conflict(error, upsert.statements, upsert.rows) from error
        return found

    async def _is_there(self, write: Alteration) -> bool:
        """Whether the row of a change that met none is there under another version."""
        if write.change.version is None:
            return False
        statement, bindings = write.statements.exists(write.change.where)
        found = await self._link.fetch(self._text(statement), bindings, self._timeout)
        return bool(found)

    async def _insert(self, write: Insert) -> int:
        statements, rows = write
        try:
            await self._put(statements, rows)
        except ConstraintFailed as error:
            raise insert_conflict(error, statements, rows) from error
        return len(rows)

    async def diagnose(self, writes: Sequence[Write | Upsert]) -> None:
        """Carry writes out one by one in a transaction of their own, to raise what the first fault among them is.

        It always raises: where there is no fault any more, the call met a concurrent one and is to be run again.
        """
        if self._link.in_transaction:
            await self._link.execute("ROLLBACK", self._timeout)
        await self._link.execute(self._begin, self._timeout)
        for write in writes:
            await self.one(write)
        raise SerializationConflict("what was in the way is gone")
