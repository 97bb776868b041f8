"""The server's side of one transaction of a simulated database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import msgspec

from mainstay.adapters.memory.layout import Layout
from mainstay.adapters.memory.selection import aggregate, fetch, select
from mainstay.adapters.memory.state import State
from mainstay.adapters.memory.writing import change, insert
from mainstay.model.conditions import Compare, Condition
from mainstay.model.operation import Isolation
from mainstay.model.problem import SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.rows import Aggregate, Change, Query, unique_conflict
from mainstay.ports.selection import Predicate, predicate
from mainstay.testing.simulation.locks import Holder, Locks

if TYPE_CHECKING:
    from mainstay.testing.simulation.database import RowChange


class Server(Protocol):
    """What a transaction needs of its database."""

    tables: Mapping[type[Entity], State]
    commits: list[list[RowChange]]
    locks: Locks

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table."""


class Session:
    """One process's connection, as the server sees it."""

    def __init__(self) -> None:
        self.open = True
        self.works: dict[Work, None] = {}


class Draft(State):
    """Rows as a transaction has changed them, with what it changed: by id, the row as it is then, or None."""

    __slots__ = ("changed", "origin")

    def __init__(self, layout: Layout, origin: State) -> None:
        copy = origin.copy()
        super().__init__(copy.rows, copy.unique, layout.unique)
        self.origin = origin
        self.changed: dict[UUID, Any] = {}

    def add(self, layout: Layout, row: Any) -> None:
        super().add(layout, row)
        self.changed[row.id] = row

    def replace(self, layout: Layout, old: Any, new: Any) -> None:
        super().replace(layout, old, new)
        self.changed[new.id] = new

    def remove(self, row: Any) -> None:
        super().remove(row)
        self.changed[row.id] = None


class Work(Holder):
    """One transaction. It begins at its first statement.

    ``reads`` are what a serialisable command has looked for, by entity. A fault leaves it undone.
    """

    def __init__(self, server: Server, session: Session, *, write: bool, isolation: Isolation) -> None:
        super().__init__()
        self.session = session
        self.isolation: Isolation = isolation if write else "repeatable_read"
        self.reads: dict[type[Entity], list[Predicate]] = {}
        self.begun_after = len(server.commits)
        self.ended = False
        self._base = server.tables
        self._server = server
        self._drafts: dict[type[Entity], Draft] = {}
        session.works[self] = None

    @property
    def changed(self) -> Mapping[type[Entity], Mapping[UUID, Any]]:
        """The rows that were changed, by entity and id, as they are now; None: deleted."""
        return {entity: draft.changed for entity, draft in self._drafts.items() if draft.changed}

    def check(self) -> None:
        """Raise what has undone the transaction."""
        if self.undone is not None:
            raise self.undone

    # What it sees.

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table."""
        return self._server.layout(entity)

    def state(self, entity: type[Entity]) -> State:
        """Return the rows of a table as the next statement sees them."""
        draft = self._drafts.get(entity)
        if self.isolation != "read_committed":
            return draft or self._base[entity]
        latest = self._server.tables[entity]
        if draft is None or draft.origin is latest:
            return draft or latest
        return self._redrafted(self.layout(entity), draft, latest)

    def working(self, layout: Layout) -> State:
        """Return the rows of a table to change."""
        state = self.state(layout.entity)
        if not isinstance(state, Draft):
            state = self._drafts[layout.entity] = Draft(layout, state)
        return state

    def _redrafted(self, layout: Layout, draft: Draft, latest: State) -> Draft:
        """Return what was changed on top of what others have committed meanwhile."""
        made = self._drafts[layout.entity] = Draft(layout, latest)
        for id_, row in draft.changed.items():
            old = made.rows.get(id_)
            if row is None and old is not None:
                made.remove(old)
            elif row is not None and old is not None:
                made.replace(layout, old, row)
            elif row is not None:
                made.add(layout, row)
        made.changed.update(draft.changed)
        return made

    def _reads(self, entity: type[Entity], where: Condition) -> None:
        if self.isolation == "serializable":
            self.reads.setdefault(entity, []).append(predicate(where))

    # Statements.

    async def get(self, layout: Layout, id_: UUID, where: Condition, *, lock: bool) -> Any | None:
        """Return the row of an id of which a condition is true."""
        found = await self.fetch(layout, Query(where=Compare("id", "eq", id_) & where, lock=lock))
        return found[0] if found else None

    async def fetch(self, layout: Layout, query: Query) -> list[Any]:
        """Return the rows that a query asks for."""
        self._reads(layout.entity, query.where)
        found = fetch(self.state(layout.entity), query)
        while query.lock and await self._lock_rows(layout, found):
            found = fetch(self.state(layout.entity), query)
        return [layout.lend(row) for row in found]

    async def count(self, layout: Layout, where: Condition) -> int:
        """Return how many rows there are."""
        self._reads(layout.entity, where)
        return len(select(self.state(layout.entity), where))

    async def aggregate(self, layout: Layout, asked: Aggregate) -> list[tuple[Any, ...]]:
        """Return the figures that are asked for."""
        self._reads(layout.entity, asked.where)
        return aggregate(self.state(layout.entity), layout, asked)

    async def insert(self, layout: Layout, row: Any) -> int:
        """Add a row. Raises ``UniqueConflict``, ``ReferenceConflict``, ``SerializationConflict``."""
        await self._server.locks.take(self, (layout.entity, row.id))
        self.check()
        if row.id in self._server.tables[layout.entity].rows and not self._has_changed(layout, row.id):
            raise unique_conflict(layout.name, "id")
        await self._lock_values(layout, row)
        for outgoing in layout.outgoing:
            self._reads(outgoing.target, Compare("id", "eq", getattr(row, outgoing.field)))
        insert(self, layout, row)
        return 1

    async def change(self, layout: Layout, wanted: Change, *, bump: bool) -> int:
        """Carry out a change, and return how many rows it met. Raises as ``insert`` does, ``StaleVersion`` too."""
        self._reads(layout.entity, wanted.where)
        met = select(self.state(layout.entity), wanted.where)
        while await self._lock_rows(layout, met):
            met = select(self.state(layout.entity), wanted.where)
        if wanted.changes is not None and set(layout.unique.fields) & set(wanted.changes):
            for row in met:
                await self._lock_values(layout, msgspec.structs.replace(row, **wanted.changes))
        for incoming in layout.incoming if wanted.changes is None else ():
            for row in met:
                self._reads(incoming.entity, Compare(incoming.field, "eq", row.id))
        return change(self, layout, wanted, bump=bump)

    async def _lock_rows(self, layout: Layout, rows: Sequence[Any]) -> bool:
        """Lock rows. Returns whether they are to be looked for again; raises where they are no longer as they were."""
        waited = False
        for row in rows:
            waited |= await self._server.locks.take(self, (layout.entity, row.id))
            self.check()
        if self.isolation == "read_committed":
            return waited
        latest = self._server.tables[layout.entity].rows
        for row in rows:
            if latest.get(row.id) is not row and not self._has_changed(layout, row.id):
                raise SerializationConflict("the row was changed by another")
        return False

    def _has_changed(self, layout: Layout, id_: UUID) -> bool:
        draft = self._drafts.get(layout.entity)
        return draft is not None and id_ in draft.changed

    async def _lock_values(self, layout: Layout, row: Any) -> None:
        """Lock the unique values of a row that is to be. Raises ``UniqueConflict`` where another row has one by now."""
        for field in layout.unique.fields:
            value = layout.unique.value(row, field)
            if value is None:
                continue
            await self._server.locks.take(self, (layout.entity, field, value))
            self.check()
            other = self._server.tables[layout.entity].unique[field].get(value)
            if other is not None and other != row.id and not self._has_changed(layout, other):
                raise unique_conflict(layout.name, field)
