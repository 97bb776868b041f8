"""A store with the suites' entities, and hands to work on it for whoever is meant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
import pytest_asyncio

from mainstay.model.operation import Isolation
from mainstay.model.principal import Principal
from mainstay.model.problem import SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.aggregates import Aggregates
from mainstay.ports.audit import AuditTrail
from mainstay.ports.auditing import audited
from mainstay.ports.bulk import Bulk
from mainstay.ports.deleted import Deleted
from mainstay.ports.repository import Repository
from mainstay.ports.store import Store
from mainstay.ports.unit_of_work import Frame, UnitOfWork
from mainstay.testing.conformance.model import PLANS, TABLES
from mainstay.testing.fixed import ClearSealer, FixedClock, SequentialIds

E = TypeVar("E", bound=Entity)
R = TypeVar("R")
Entities = tuple[type[Entity], ...]
"""What a suite works with."""

ALICE = Principal(id=UUID(int=0xA11CE), subject="alice", claims={"region": "north"})
BOB = Principal(id=UUID(int=0xB0B), subject="bob", claims={"region": "south"})
NOBODY = Principal(id=UUID(int=0xE0), subject="nobody")  # known, but with no claims
SUPPORT = Principal(id=UUID(int=0x50), subject="support", roles=frozenset({"support"}))


class Hands:
    """The doorways of one unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        self.unit = unit

    def rows(self, entity: type[E]) -> Repository[E]:
        """Return the repository of an entity."""
        return Repository(self.unit, self.unit.frame.plans[entity])

    def audit(self, entity: type[E]) -> AuditTrail[E]:
        """Return the doorway to what was done to rows."""
        return AuditTrail(self.unit, self.unit.frame.plans[entity])

    def deleted(self, entity: type[E]) -> Deleted[E]:
        """Return the doorway to deleted rows."""
        return Deleted(self.unit, self.unit.frame.plans[entity])

    def bulk(self, entity: type[E]) -> Bulk[E]:
        """Return the doorway for changes of many rows."""
        return Bulk(self.unit, self.unit.frame.plans[entity])

    def figures(self, entity: type[E]) -> Aggregates[E]:
        """Return the doorway for figures."""
        return Aggregates(self.unit, self.unit.frame.plans[entity])


class World:
    """A started store. ``command`` and ``query`` run a block as one unit of work."""

    def __init__(self, store: Store, plans: Mapping[type[Entity], Any] = PLANS) -> None:
        self.store = store
        self.plans = plans
        self.clock: FixedClock = FixedClock()
        self.ids: SequentialIds = SequentialIds()
        self.sealer: ClearSealer = ClearSealer()

    def unit(
        self,
        who: Principal = ALICE,
        *,
        write: bool = True,
        operation: str = "test",
        named: Iterable[UUID] = (),
        if_match: tuple[int, ...] | None = None,
        isolation: Isolation = "serializable",
    ) -> UnitOfWork:
        """Return a unit of work that has not begun."""
        frame = Frame(
            who, operation, self.clock, self.ids, self.sealer, self.plans, self.store, frozenset(named), if_match
        )
        return UnitOfWork(audited(frame, "request", "trace"), write=write, isolation=isolation)

    @asynccontextmanager
    async def command(self, who: Principal = ALICE, **more: Any) -> AsyncIterator[Hands]:
        """Run a block that is committed at its end, and rolled back where it raises."""
        unit = self.unit(who, **more)
        try:
            yield Hands(unit)
            await unit.commit()
        except BaseException:
            await unit.rollback()
            raise

    @asynccontextmanager
    async def abandoned(self, who: Principal = ALICE, **more: Any) -> AsyncIterator[Hands]:
        """Run a block that is rolled back at its end."""
        unit = self.unit(who, **more)
        try:
            yield Hands(unit)
        finally:
            await unit.rollback()

    @asynccontextmanager
    async def query(self, who: Principal = ALICE, **more: Any) -> AsyncIterator[Hands]:
        """Run a block that reads from one snapshot."""
        unit = self.unit(who, write=False, **more)
        try:
            yield Hands(unit)
        finally:
            await unit.rollback()

    async def run(self, work: Callable[[Hands], Awaitable[R]], who: Principal = ALICE, **more: Any) -> R:
        """Run a command, again where it met a concurrent one, as the kernel does."""
        for _ in range(50):
            try:
                async with self.command(who, **more) as hands:
                    return await work(hands)
            except SerializationConflict:
                continue
        raise AssertionError("50 attempts met a serialisation conflict")

    async def add(self, *rows: E, who: Principal = SUPPORT) -> list[E]:
        """Add rows in a command of their own, and return them as they are stored."""
        async with self.command(who) as hands:
            return [await hands.rows(type(row)).add(row) for row in rows]

    def many(self, number: int) -> int:
        """Return a number of rows to work with: a tenth of it where a command is bounded, as they take so many."""
        return number if self.store.capabilities.max_writes is None else number // 10

    async def fill(self, rows: Sequence[E], who: Principal = SUPPORT) -> list[E]:
        """Add many rows in as few commands as the store takes, and return them as they are stored."""
        most = self.store.capabilities.max_writes
        size = len(rows) if most is None else most // 4  # a row may need more than one write
        made: list[E] = []
        for start in range(0, len(rows), size):
            async with self.command(who) as hands:
                made += await hands.bulk(type(rows[0])).add_all(rows[start : start + size])
        return made

    async def all(self, entity: type[E], *conditions: Any, who: Principal = SUPPORT, **fields: Any) -> list[E]:
        """Return all rows that a caller sees, in the order of their ids."""
        async with self.query(who) as hands:
            return [row async for row in hands.rows(entity).stream(*conditions, **fields)]

    async def get(self, entity: type[E], id: UUID, who: Principal = SUPPORT) -> E:
        """Return a row as a caller sees it in a query of its own."""
        async with self.query(who) as hands:
            return await hands.rows(entity).get(id)


class StoreSuite:
    """The root of the suites of a store."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio
    entities: ClassVar[Entities] = ()
    """The entities that the suite works with, so that a store has no more to prepare; none says: all."""

    def make_store(self, folder: Path) -> Store:
        """Return a new store, not yet started, that may keep its files in ``folder``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_store")

    @pytest_asyncio.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        """A fresh store with the suite's tables."""
        async with opened(self.make_store(tmp_path), self.entities) as world:
            yield world


@asynccontextmanager
async def opened(store: Store, entities: Entities = ()) -> AsyncIterator[World]:
    """Start a store with the tables of these entities (none: all), and stop it behind the block."""
    wanted = {*entities, *(PLANS[entity].words for entity in entities)}
    await store.start([table for table in TABLES if not entities or table.shape.type in wanted])
    try:
        yield World(store)
    finally:
        await store.stop()
