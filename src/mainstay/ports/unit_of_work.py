"""The unit of work of one call: one transaction, begun by the first touch of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from mainstay.model.conditions import Condition
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, Shape
from mainstay.model.structs import Entity
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.sealer import Sealer
from mainstay.ports.store import Store, Transaction

E = TypeVar("E", bound=Entity)


class Reference(msgspec.Struct, frozen=True):
    """A field that names a row of another entity."""

    field: str
    entity: type[Entity]
    guarded: bool  # the target has a row policy, so that a caller may name only what it may read


class EntityPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What every repository of an entity must know, put together at start-up."""

    shape: Shape
    table: str
    module: str
    policy: Policy | None
    owners: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    checked: tuple[Attribute, ...] = ()  # fields whose values are checked on a write


class Frame(msgspec.Struct, frozen=True):
    """What a call lends to its repositories."""

    who: Principal
    operation: str
    clock: Clock
    ids: Ids
    sealer: Sealer
    plans: Mapping[type[Entity], EntityPlan]
    store: Store


class UnitOfWork:
    """One transaction of one call. A use case asks for it only to ``flush()`` before its end."""

    __slots__ = ("_filters", "_single", "_transaction", "deadline", "frame", "write")

    def __init__(self, frame: Frame, *, write: bool, single: bool = False, deadline: float | None = None) -> None:
        self.frame = frame
        self.write = write
        self.deadline = deadline
        self._single = single
        self._transaction: Transaction | None = None
        self._filters: dict[type[Entity], Condition] | None = None

    @property
    def begun(self) -> bool:
        """Whether a repository was touched."""
        return self._transaction is not None

    def transaction(self) -> Transaction:
        """Return the transaction, begun now where it was not."""
        transaction = self._transaction
        if transaction is None:
            transaction = self._transaction = self.frame.store.begin(
                write=self.write, single=self._single, deadline=self.deadline
            )
        return transaction

    def visible(self, entity: type[Entity], policy: Policy) -> Condition:
        """Return the condition under which the caller sees rows of an entity, reduced once a call."""
        if self._filters is None:
            self._filters = {}
        condition = self._filters.get(entity)
        if condition is None:
            condition = self._filters[entity] = policy.reduce(self.frame.who)
        return condition

    async def flush(self) -> None:
        """Carry out the writes queued so far, so that a broken rule surfaces here."""
        if self._transaction is not None:
            await self._transaction.flush()

    async def commit(self) -> None:
        """Commit what was begun. The kernel calls it; a use case does not."""
        if self._transaction is not None:
            await self._transaction.commit()

    async def rollback(self) -> None:
        """Undo what was begun. The kernel calls it; a use case does not."""
        if self._transaction is not None:
            await self._transaction.rollback()
