"""The unit of work of one call: one transaction, begun by the first touch of a repository."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import TRUE, Condition
from mainstay.model.operation import Isolation
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.soundness import Verdict, verdict_of
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.tenancy import Tenancy
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.normal import Normaliser, normaliser_of
from mainstay.ports.sealer import Sealer
from mainstay.ports.store import Store, Transaction

E = TypeVar("E", bound=Entity)


class Reference(msgspec.Struct, frozen=True):
    """A field that names a row of another entity."""

    field: str
    entity: type[Entity]
    guarded: bool  # not every caller may see each row of the target, so that it may name only what it may read
    within: bool = False  # both belong to tenants, and to the same one


class Follower(msgspec.Struct, frozen=True):
    """A field of another entity that names rows of this one, and what becomes of its rows when one is deleted."""

    entity: type[Entity]
    field: str
    on_delete: str


class EntityPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What every repository of an entity must know, put together at start-up.

    ``deleted`` is the plan of its deleted rows, where they are kept, and ``followers`` are who must be told of a delete
    then; ``trail`` is the plan of the entries of its audit, where it is audited. ``key`` stands for the policy in a
    call: the entity, unless another plan of it has that. ``columns``, ``encrypted`` (those that are stored encrypted),
    ``normalisers``, ``verdicts`` (the checked fields, each with its quick verdict) and ``referred`` (the relations to
    one row, each with the field that refers to it) are made of the rest; they are not given.
    """

    shape: Shape
    table: str
    module: str
    policy: Policy | None  # that of the rows, behind the tenancy
    tenancy: Tenancy | None = None
    owners: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    soft_delete: bool = False
    append_only: bool = False
    deleted: EntityPlan | None = None
    followers: tuple[Follower, ...] = ()
    trail: EntityPlan | None = None
    key: Any = None
    words: type[Entity] | None = None  # the rows that hold the words of searchable fields
    searchable: tuple[str, ...] = ()
    checked: tuple[Attribute, ...] = ()  # fields whose values are checked on a write
    columns: frozenset[str] = frozenset()
    encrypted: frozenset[str] = frozenset()
    normalisers: Mapping[str, Normaliser] = {}
    verdicts: tuple[tuple[str, Verdict, Attribute], ...] = ()
    referred: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        found = ((a.name, normaliser_of(a)) for a in self.shape.attributes if a.name not in STANDARD_FIELDS)
        if self.key is None:
            msgspec.structs.force_setattr(self, "key", self.shape.type)
        msgspec.structs.force_setattr(self, "columns", frozenset(a.name for a in self.shape.attributes))
        encrypted = frozenset(a.name for a in self.shape.attributes if a.encrypted)
        msgspec.structs.force_setattr(self, "encrypted", encrypted)
        msgspec.structs.force_setattr(self, "verdicts", tuple((a.name, verdict_of(a), a) for a in self.checked))
        ones = ((r.name, r.relation) for r in self.shape.relations if r.kind is FieldKind.ONE)
        referred = tuple((name, relation.key) for name, relation in ones if relation is not None)
        msgspec.structs.force_setattr(self, "referred", referred)
        msgspec.structs.force_setattr(self, "normalisers", {name: make for name, make in found if make is not None})


class Frame(msgspec.Struct, frozen=True):
    """What a call lends to its repositories.

    ``named`` are the ids in the call's route, and ``if_match`` the versions that its precondition names for them (RFC
    9110, section 13.1.1): None where there is none, empty for ``*``. ``wrap`` puts what watches its writes around the
    transaction of a command.
    """

    who: Principal
    operation: str
    clock: Clock
    ids: Ids
    sealer: Sealer
    plans: Mapping[type[Entity], EntityPlan]
    store: Store
    named: frozenset[UUID] = frozenset()
    if_match: tuple[int, ...] | None = None
    wrap: Callable[[Transaction], Transaction] | None = None


class UnitOfWork:
    """One transaction of one call. A use case asks for it only to ``flush()`` before its end, or to ``refresh()``."""

    __slots__ = ("_filters", "_latest", "_met", "_single", "_transaction", "deadline", "frame", "isolation", "write")

    def __init__(
        self,
        frame: Frame,
        *,
        write: bool,
        single: bool = False,
        deadline: float | None = None,
        isolation: Isolation = "serializable",
        latest: bool = False,
    ) -> None:
        self.frame: Frame = frame
        self.write: bool = write
        self.deadline: float | None = deadline
        self.isolation: Isolation = isolation
        self._single = single
        self._latest = latest
        self._transaction: Transaction | None = None
        self._filters: dict[Any, Condition] | None = None
        self._met: set[UUID] | None = None

    @property
    def begun(self) -> bool:
        """Whether a repository was touched."""
        return self._transaction is not None

    def transaction(self) -> Transaction:
        """Return the transaction, begun now where it was not."""
        transaction = self._transaction
        if transaction is None:
            frame = self.frame
            transaction = frame.store.begin(
                write=self.write,
                single=self._single,
                deadline=self.deadline,
                latest=self._latest,
                isolation=self.isolation,
            )
            if frame.wrap is not None and self.write:
                transaction = frame.wrap(transaction)
            self._transaction = transaction
        return transaction

    def several(self) -> None:
        """Say, before the first read, that more than one is to come: they see one snapshot."""
        self._single = False

    def visible(self, key: Any, policy: Policy) -> Condition:
        """Return the condition under which the caller sees rows of the plan with a key, reduced once a call."""
        if self._filters is None:
            self._filters = {}
        condition = self._filters.get(key)
        if condition is None:
            condition = self._filters[key] = policy.reduce(self.frame.who)
        return condition

    def go_on_for(self, who: Principal) -> None:
        """Go on for the caller as it is now: what it may see is found out anew."""
        if who != self.frame.who:
            self.frame = msgspec.structs.replace(self.frame, who=who)
            self._filters = None

    def reach(self, plan: EntityPlan) -> Condition:
        """Return the condition under which the caller sees rows of a plan's entity."""
        policy = plan.policy
        return TRUE if policy is None else self.visible(plan.key, policy)

    def changing(self) -> None:
        """Refuse to change anything in a query."""
        if not self.write:
            raise TypeError(f"{self.frame.operation} is a query, which changes nothing: declare it as a command")

    def altering(self, plan: EntityPlan) -> None:
        """Refuse to change or delete rows in a query, and rows of an entity that are only added."""
        self.changing()
        if plan.append_only:
            raise TypeError(f"{plan.shape.name} is append-only: its rows are added and read, and stay as they are")

    def conditional(self, id: UUID) -> tuple[int, ...]:
        """Return the versions that the call's precondition allows a row to have; none where it says nothing of it.

        It speaks of the row as the caller knew it: once it was met, what the call itself makes of the row is free.
        """
        frame = self.frame
        if not frame.if_match or id not in frame.named or (self._met is not None and id in self._met):
            return ()
        return frame.if_match

    def met(self, id: UUID) -> None:
        """Note that the precondition held of a row."""
        if self._met is None:
            self._met = set()
        self._met.add(id)

    async def flush(self) -> None:
        """Carry out the writes queued so far, so that a broken rule surfaces here."""
        if self._transaction is not None:
            await self._transaction.flush()

    async def refresh(self) -> None:
        """Let a query see what was committed since it began to read: the next touch of a repository reads anew.

        For streams that go on as rows come in; without it a query reads one snapshot to its end.
        """
        if self.write:
            raise TypeError(f"{self.frame.operation} is a command, which reads and writes in one transaction")
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.rollback()

    async def commit(self) -> None:
        """Commit what was begun. The kernel calls it; a use case does not."""
        if self._transaction is not None:
            await self._transaction.commit()

    def rollback(self) -> Awaitable[None]:
        """Return what undoes what was begun, to be awaited. The kernel calls it; a use case does not."""
        return _nothing() if self._transaction is None else self._transaction.rollback()


async def _nothing() -> None:
    """Nothing was begun."""
