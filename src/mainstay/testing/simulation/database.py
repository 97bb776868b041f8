"""A simulated database: what its server does, which outlives the processes that use it.

It has versions of rows, and locks, as PostgreSQL has: a query sees one moment; a command sees, and is kept apart from
others, as its isolation says. Serialisable ones are checked at their commit: nothing that they have read may have been
changed by another since (H. T. Kung, J. T. Robinson: On Optimistic Methods for Concurrency Control, 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from mainstay.adapters.memory.layout import Layout, layouts
from mainstay.adapters.memory.state import State
from mainstay.model.problem import NotCommitted, SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.store import Table
from mainstay.testing.simulation.locks import Locks
from mainstay.testing.simulation.work import Session, Work


class RowChange(NamedTuple):
    """A row that a commit has added (``old`` is None), changed, or deleted (``new`` is None)."""

    entity: type[Entity]
    old: Any
    new: Any


Watcher = Callable[[Sequence[RowChange]], None]


class Database:
    """The server. ``tables`` is what is committed; each of ``watchers`` is told of each commit, when it stands."""

    def __init__(self) -> None:
        self.tables: Mapping[type[Entity], State] = {}
        self.layouts: dict[type[Entity], Layout] = {}
        self.commits: list[list[RowChange]] = []
        self.watchers: list[Watcher] = []
        self.locks = Locks()
        self.claims: dict[bytes, Session] = {}
        self.rings: list[Callable[[], None]] = []
        self.undone = 0

    def declare(self, tables: Sequence[Table]) -> None:
        """Make tables that are not there yet."""
        made = layouts(tables)
        self.layouts = {**made, **self.layouts}
        self.tables = {entity: self.tables.get(entity) or State.empty(own) for entity, own in self.layouts.items()}

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table. Raises ``LookupError`` for an entity that has none."""
        try:
            return self.layouts[entity]
        except KeyError:
            raise LookupError(f"{entity.__name__} has no table in this store") from None

    def rows(self, entity: type[Entity]) -> list[Any]:
        """Return the committed rows of a table, in the order of their adding."""
        return list(self.tables[entity].rows.values())

    def disconnect(self, session: Session) -> None:
        """End a session, as a server does that finds its connection gone: transactions are undone, claims let go."""
        session.open = False
        self.interrupt(session)
        for key in [key for key, holder in self.claims.items() if holder is session]:
            del self.claims[key]

    def interrupt(self, session: Session) -> None:
        """Undo what a session has open, as a server does to who leaves a transaction idle."""
        for work in list(session.works):
            work.undone = NotCommitted("the database has ended the transaction", retry_after=1)
            self.abort(work)

    def abort(self, work: Work) -> None:
        """Undo a transaction."""
        if not work.ended:
            self.undone += 1
            self._end(work)

    def _end(self, work: Work) -> None:
        work.ended = True
        work.session.works.pop(work, None)
        self.locks.release(work)

    def commit(self, work: Work) -> None:
        """Commit a transaction. Raises ``SerializationConflict`` and undoes it where it met another."""
        work.check()
        try:
            changes = self._checked(work)
        except BaseException:
            self.abort(work)
            raise
        if changes:
            self.commits.append(changes)
        self._end(work)
        if changes:
            for watcher in self.watchers:
                watcher(changes)

    def _checked(self, work: Work) -> list[RowChange]:
        """Bring what a transaction has changed into the tables, and return it."""
        tables, changes = dict(self.tables), []
        if work.changed and work.isolation == "serializable":
            self._check_reads(work)
        for entity, changed in work.changed.items():
            layout, state = self.layouts[entity], tables[entity].copy()
            changes += [RowChange(entity, state.rows.get(id_), row) for id_, row in changed.items()]
            _carry_over(layout, state, changed)
            tables[entity] = state
        self._check_references(tables, changes)
        self.tables = tables
        return [one for one in changes if one.old is not None or one.new is not None]

    def _check_reads(self, work: Work) -> None:
        for commit in self.commits[work.begun_after :]:
            for entity, old, new in commit:
                for read in work.reads.get(entity, ()):
                    if (old is not None and read(old)) or (new is not None and read(new)):
                        raise SerializationConflict("what was read has been changed by another")

    def _check_references(self, tables: Mapping[type[Entity], State], changes: Sequence[RowChange]) -> None:
        """Refuse what other transactions have left without its parent, or a parent that they gave children."""
        for entity, _, new in changes:
            for outgoing in self.layouts[entity].outgoing if new is not None else ():
                target = getattr(new, outgoing.field)
                if target is not None and target not in tables[outgoing.target].rows:
                    raise SerializationConflict("the row that is referred to was deleted meanwhile")
        for entity, old, new in changes:
            for incoming in self.layouts[entity].incoming if new is None and old is not None else ():
                if any(getattr(child, incoming.field) == old.id for child in tables[incoming.entity].rows.values()):
                    raise SerializationConflict("the row was referred to meanwhile")


def _carry_over(layout: Layout, state: State, changed: Mapping[UUID, Any]) -> None:
    """Do to a state what was done to rows. What is taken away goes first: others may have its unique values by now."""
    before = {id_: state.rows.get(id_) for id_ in changed}
    for id_, row in changed.items():
        if row is None and before[id_] is not None:
            state.remove(before[id_])
    for id_, row in changed.items():
        if row is not None and before[id_] is not None:
            state.replace(layout, before[id_], row)
    for id_, row in changed.items():
        if row is not None and before[id_] is None:
            state.add(layout, row)
