"""Rows of one entity inside one transaction: what an adapter of a store implements, and all that it is asked.

The doorway above it (``ports/repository.py``) has turned keywords, policies and cursors into a condition already, and
has checked and stamped what is written: an adapter only stores and finds. Null sorts before every value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import TRUE, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import Fault, ReferenceConflict, UniqueConflict
from mainstay.model.structs import Entity
from mainstay.ports.kept import Kept

E = TypeVar("E", bound=Entity)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch. ``limit`` bounds the rows, or with ``per`` the rows of each value of that field.

    With ``lock``, in a store that has locks, no other command changes these rows before the end of this one. Fields of
    ``unread`` need not be read: what the rows hold in them is left open.
    """

    where: Condition = TRUE
    sort: tuple[Sort, ...] = ()
    limit: int | None = None
    per: str | None = None
    lock: bool = False
    unread: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An update (or, where ``changes`` is None, a delete) of the rows that a condition is true of.

    ``expected`` is the number of rows that must be met, where it matters; ``version`` is the version that the one row
    must have; ``before`` is that row as it was read, where it was. A miss is told as ``StaleVersion`` where the row is
    there under another version, else as ``NotFound``. ``shared`` says that whoever else changes that row does so by
    its version too, so that the change may be carried out together with those of other transactions.
    """

    where: Condition
    changes: Mapping[str, Any] | None
    id: UUID | None = None
    version: int | None = None
    expected: int | None = None
    before: Any = None
    shared: bool = False


class Merge(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """Rows to be added, or to change those that have their values of the unique field ``on``.

    A row that is there gets the fields of ``changes``, and its version goes up by one, where ``where`` is true of it
    and its fields of ``kept`` have the given values already. No two rows have the same value of ``on``; one without a
    value is added.
    """

    rows: tuple[E, ...]
    on: str
    changes: tuple[str, ...]
    kept: tuple[str, ...]
    where: Condition


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over rows: ``measures`` are (function, field) with count, sum, avg, min, max; grouped by fields.

    ``("count", None)`` counts rows, ``("count", field)`` those in which the field is not null. The other functions
    leave nulls out and are None over nothing. Without ``by`` there is one group, of no rows if need be. ``sum``,
    ``min`` and ``max`` give values of the field's type, exactly; ``avg`` is not asked for: it is a sum and a count.
    """

    measures: tuple[tuple[str, str | None], ...]
    by: tuple[str, ...] = ()
    where: Condition = TRUE
    limit: int | None = None


class Rows(ABC, Generic[E]):
    """The rows of one entity in one transaction.

    Reads see the writes queued before them. A broken rule is raised where it surfaces, at the latest at the flush:
    ``UniqueConflict(field=...)``, ``ReferenceConflict(field=...)``, ``StaleVersion``, ``NotFound``.
    """

    @abstractmethod
    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> E | None:
        """Return the row with this id of which the condition is true.

        With ``lock`` no other command changes it before the end of this one; whoever has it already is waited for.
        """

    @abstractmethod
    async def fetch(self, query: Query) -> list[E]:
        """Return rows in order."""

    async def keep(self, query: Query) -> list[E] | Kept[E]:
        """Return rows in order for an answer that nobody looks at: as the store has them, where it can tell them.

        Not asked for ``per`` a value, nor with ``lock``.
        """
        return await self.fetch(query)

    @abstractmethod
    def stream(self, query: Query) -> AsyncGenerator[E, None]:
        """Give rows in order, in constant memory. Who stops before the end closes it."""

    @abstractmethod
    async def count(self, where: Condition) -> int:
        """Return how many rows there are."""

    @abstractmethod
    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        """Return a tuple a group: the grouping values, then the measures; groups in order of their values."""

    @abstractmethod
    def insert(self, rows: Sequence[E]) -> None:
        """Queue rows to be inserted."""

    @abstractmethod
    def enqueue(self, change: Change) -> None:
        """Queue a change of one row."""

    @abstractmethod
    async def apply(self, change: Change) -> int:
        """Change rows now, and return how many there were.

        Where the changes say nothing of ``version``, that of each row goes up by one.
        """

    async def merge(self, merge: Merge[E]) -> list[E | None]:
        """Add rows or change those that are there, now, and return each as it is then, None where it may not change.

        Of two commands that do so at once with one value, one adds and the other changes what was added. Asked only
        where the store's capabilities say that it ``merges``.
        """
        raise NotImplementedError


def unique_conflict(entity: str, field: str) -> UniqueConflict:
    """Return the problem of a row whose unique field has the value of another row."""
    fault = Fault("not_unique", "is taken by another row", pointer=f"/{field}")
    return UniqueConflict(f"another {entity} has this {field}", faults=[fault], field=field)


def reference_conflict(field: str) -> ReferenceConflict:
    """Return the problem of a field that names no row (that the caller may know of)."""
    fault = Fault("reference_not_found", "names a row that is not there", pointer=f"/{field}")
    return ReferenceConflict(f"{field} names a row that is not there", faults=[fault], field=field)


def still_referenced(entity: str) -> ReferenceConflict:
    """Return the problem of a row that cannot be deleted, because another refers to it and restricts that."""
    return ReferenceConflict(f"other rows refer to this {entity}")
