"""A turn: one call's exclusive use of the writer, and a savepoint of its group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mainstay.adapters.sql.sqlite.errors import TurnEnded, TurnTooLong
from mainstay.adapters.sql.sqlite.options import Row

if TYPE_CHECKING:
    from mainstay.adapters.sql.sqlite.group import Group
    from mainstay.adapters.sql.sqlite.writer import GroupWriter


class Turn:
    """The writer, for one call, until ``commit``, ``rollback`` or ``abandon``.

    Statements run at once, on the loop. Values are int (64 bits), float, str, bytes and None. From any method:
    :class:`TurnTooLong` after the bound, ``NotCommitted`` when SQLite ended the group's transaction, and
    :class:`TurnEnded` after the end.
    """

    __slots__ = ("_ended", "_group", "_owner", "_writer")

    def __init__(self, writer: GroupWriter, group: Group, owner: asyncio.Task[Any] | None) -> None:
        self._writer = writer
        self._group = group
        self._owner = owner
        self._ended: Exception | None = None
        if owner is not None:
            owner.add_done_callback(self._owner_done)

    @property
    def open(self) -> bool:
        """Whether statements may still run."""
        return self._writer.active is self

    @property
    def changes(self) -> int:
        """How many rows the last INSERT, UPDATE or DELETE of this turn changed, those of foreign key actions aside."""
        if self._writer.active is not self:
            raise self._gone()
        return self._writer.connection.changes()

    def execute(self, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return its rows.

        Raises :class:`ConstraintFailed` or :class:`StatementFailed`, after which the turn goes on without that
        statement, and ``NotCommitted`` when the error has ended the whole group.
        """
        writer = self._writer
        if writer.active is not self:
            raise self._gone()
        try:
            return writer.cursor.execute(sql, bindings).fetchall()
        except BaseException as error:
            writer.fail(error)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row of bindings and return how many rows changed in all.

        On an error the rows before it stay changed: roll the turn back. Raises as ``execute`` does.
        """
        writer = self._writer
        if writer.active is not self:
            raise self._gone()
        changed = 0
        try:
            for bindings in rows:
                writer.cursor.execute(sql, bindings)
                changed += writer.connection.changes()
        except BaseException as error:
            writer.fail(error)
        return changed

    def commit(self) -> Awaitable[None]:
        """Keep the turn's changes, pass the turn on at once, and wait until the group is durable.

        Raises ``NotCommitted`` when nothing was changed, ``CommitUnknown`` when that is not known, and
        :class:`ConstraintFailed` when a deferred foreign key is still open (the turn is rolled back alone).
        """
        if self._writer.active is not self:
            raise self._gone()
        return self._writer.leave(self, keep=True)

    def rollback(self) -> Awaitable[None]:
        """Undo the turn's changes, pass the turn on at once, and wait until the group is durable.

        The wait is for the caller's sake: a refusal may rest on a neighbour's rows, which only the commit makes true.
        After the bound ran out the turn is rolled back already, and only the wait is left.
        """
        if self._writer.active is self:
            return self._writer.leave(self, keep=False)
        if isinstance(self._ended, TurnTooLong):
            return self._group.end()
        raise self._gone()

    def abandon(self) -> None:
        """Undo the turn's changes and pass the turn on, without waiting; do nothing if it has ended."""
        if self._writer.active is self:
            self._writer.forsake(self)

    def close(self, reason: Exception | None) -> None:
        """Note the end; for the writer alone. ``reason`` is what later use raises."""
        self._ended = reason
        if self._owner is not None:
            self._owner.remove_done_callback(self._owner_done)
            self._owner = None

    def _owner_done(self, _: asyncio.Task[Any]) -> None:
        self.abandon()

    def _gone(self) -> Exception:
        return self._ended or TurnEnded("this turn has ended: take another one")
