"""Entities with every kind of field, and stores of them, for the tests of the SQL adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.fields import field, related
from mainstay.model.inputs import Many
from mainstay.model.policy import owner
from mainstay.model.principal import Principal
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.store import Store, Table
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork
from mainstay.testing.fixed import ClearSealer, FixedClock, SequentialIds


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Rank(IntEnum):
    LOW = 1
    HIGH = 10


class Plain(Enum):
    ONE = "one"
    TWO = "two"


class Address(msgspec.Struct, frozen=True):
    street: str
    number: int = 1


class Sample(Entity):
    """Every kind of field, each in two columns so that they can be compared, all of them nullable."""

    text: str | None = field(default=None, index=True)
    other: str | None = None
    number: int | None = None
    second: int | None = None
    price: Decimal | None = field(default=None, digits=12, places=2)
    cost: Decimal | None = field(default=None, digits=14, places=4)
    ratio: float | None = None
    flag: bool | None = None
    at: datetime | None = None
    until: datetime | None = None
    day: date | None = None
    hour: time | None = None
    ref: UUID | None = None
    colour: Colour | None = None
    rank: Rank | None = None
    plain: Plain | None = None
    raw: bytes | None = None
    secret: Secret[str] | None = field(default=None, secret=True)
    tags: list[str] | None = None
    home: Address | None = None
    extra: dict[str, int] | None = None


class Maker(Entity):
    """The target of references."""

    name: str = field(unique=True, max_length=100)
    parts: Many[Part] = related("maker_id")


class Part(Entity, rows=owner("keeper")):
    """A row that refers to others, with an owner."""

    maker_id: UUID = field(references=Maker, on_delete="cascade")
    spare_for: UUID | None = field(references="Part", on_delete="null", default=None)
    keeper: UUID = field(default=UUID(int=0))
    order: int = 0  # a word of SQL
    group: str = ""


class Review(Entity):
    """A row that keeps its target from being deleted."""

    part_id: UUID = field(references=Part)


def table(entity: type[Entity], name: str | None = None) -> Table:
    return Table(shape=shape_of(entity), name=name or entity.__name__.lower(), module="samples")


TABLES = [table(entity) for entity in (Sample, Maker, Part, Review)]


@asynccontextmanager
async def opened(folder: Path, *tables: Table, **options: Any) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder / "test.db", create=True, synchronous="off", **options)
    await store.start(tables or TABLES)
    try:
        yield store
    finally:
        await store.stop()


FIRST = datetime(2026, 11, 23, 10, 20, 30, 123456, UTC)


def row(entity: type[Any], n: int, /, **values: Any) -> Any:
    return entity(id=UUID(int=n), version=1, created_at=FIRST, updated_at=FIRST, **values)


def unit_of(store: Store, who: Principal, *tables: Table, write: bool = False) -> UnitOfWork:
    """Return a unit of work of a caller, with the plans of these tables, or of the samples."""
    plans = {
        each.shape.type: EntityPlan(
            shape=each.shape, table=each.name, module=each.module, policy=each.shape.type.__mainstay_rows__
        )
        for each in tables or TABLES
    }
    frame = Frame(who, "test", FixedClock(), SequentialIds(), ClearSealer(), plans, store)
    return UnitOfWork(frame, write=write)
