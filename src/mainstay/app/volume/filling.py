"""Filling tables up to a number of rows, in batches, at the speed at which the store takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from mainstay.app.ordering import referred_first
from mainstay.app.refusal import Refusal
from mainstay.app.volume.texts import Texts
from mainstay.app.volume.values import LATEST, Column, Columns, NoValues
from mainstay.kernel.bind import Bound
from mainstay.model.checks import KERNEL
from mainstay.model.conditions import TRUE, Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.principal import Principal
from mainstay.model.problem import Invalid, Problem
from mainstay.model.schema import FieldKind
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.ports.bulk import Bulk
from mainstay.ports.rows import Query
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork

BATCH = 5000
"""Rows of one transaction."""

REFERRED = 100_000
"""So many rows of an entity are referred to; there may be more of them."""

_SMALL = 20  # rows of one transaction, where a store bounds its writes
_PEOPLE = 500  # who own rows, where no entity says who there is
_APART = 10  # milliseconds between the ids of two rows
_SKEW = 3  # a few rows are referred to by many: three quarters of all refer to the first 42 of 100


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows each entity is to have, with those that it has. Without ``entities`` (names) it is for all.

    Rows that belong to tenants are made for one ``tenant``, of which each entity is then to have so many.
    """

    rows: int
    seed: int = 0
    entities: tuple[str, ...] = ()
    tenant: str | None = None


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entity. ``short`` says why there are not as many as were wanted."""

    entity: str
    there: int
    added: int
    seconds: float
    short: str | None = None


async def fill(bound: Bound, wanted: Wanted) -> list[Filled]:
    """Add rows until every entity has as many as are wanted. The same seed on the same rows adds the same.

    Raises ``Refusal`` where values of a field cannot be made up, or no tenant is named for rows that belong to one.
    """
    plans = referred_first(_chosen(bound, wanted.entities))
    filler = _Filler(bound, wanted)
    for plan in plans:
        filler.check(plan)
    return [await filler.fill(plan, wanted.rows) for plan in plans]


def _chosen(bound: Bound, names: Sequence[str]) -> list[EntityPlan]:
    own = [plan for entity, plan in bound.plans.items() if entity in bound.blueprint.owners and plan.module != KERNEL]
    if not names:
        return own
    found: dict[type[Entity], EntityPlan] = {}
    for name in names:
        named = [plan for plan in own if name in (plan.shape.name, f"{plan.module}.{plan.shape.name}")]
        if not named:
            known = ", ".join(sorted(plan.shape.name for plan in own))
            raise Refusal(f"there is no entity named {name}", f"there are {known}")
        found |= {plan.shape.type: plan for plan in named}
    return list(found.values())


class _Exhausted(Exception):
    """No more different rows can be made."""


class _Filler:
    def __init__(self, bound: Bound, wanted: Wanted) -> None:
        self._bound = bound
        self._seed = str(wanted.seed) if wanted.tenant is None else f"{wanted.seed}/{wanted.tenant}"
        self._who = Principal.system if wanted.tenant is None else Principal.system.acting_for(wanted.tenant)
        self._columns = Columns(Texts(wanted.seed), bound.blueprint.shapes)
        self._people = [uuid5(NAMESPACE_URL, f"principal:person {n}") for n in range(_PEOPLE)]
        small = bound.ports.store.capabilities.max_writes is not None
        self._batch = _SMALL if small else BATCH

    def _unit(self, *, write: bool) -> UnitOfWork:
        ports = self._bound.ports
        frame = Frame(self._who, "seed", ports.clock, ports.ids, ports.sealer, self._bound.plans, ports.store)
        return UnitOfWork(frame, write=write)

    def check(self, plan: EntityPlan) -> None:
        """Raise ``Refusal`` for rows of a tenant that is not named, or whose name does not fit."""
        if plan.tenancy is not None and plan.tenancy.of(self._who) is None:
            raise Refusal(
                f"{plan.shape.name} belongs to tenants: say for which one rows are to be made up",
                "mainstay db seed --rows N --tenant NAME"
                + (", where NAME is a UUID" if plan.tenancy.kind is UUID else ""),
            )

    def _within(self, plan: EntityPlan) -> Condition:
        """Return the condition of the rows of the tenant."""
        return TRUE if plan.tenancy is None else Compare(plan.tenancy.field, "eq", plan.tenancy.of(self._who))

    async def fill(self, plan: EntityPlan, rows: int) -> Filled:
        clock = self._bound.ports.clock
        started = clock.monotonic()
        there = await self._count(plan)
        added, short = await self._add(plan, rows - there, fresh=there == 0) if rows > there else (0, None)
        seconds = clock.monotonic() - started
        return Filled(entity=plan.shape.name, there=there, added=added, seconds=seconds, short=short)

    async def _count(self, plan: EntityPlan) -> int:
        unit = self._unit(write=False)
        try:
            return await unit.transaction().rows(plan.shape.type).count(self._within(plan))
        finally:
            await unit.rollback()

    async def _add(self, plan: EntityPlan, lacking: int, *, fresh: bool) -> tuple[int, str | None]:
        """Add rows batch by batch; those of which the id or a unique value is taken are passed over."""
        columns, added, number = await self._made(plan), 0, 0
        while added < lacking:
            try:
                made = self._rows(plan, columns, number)
            except _Exhausted as short:
                return added, str(short)
            rows = list(islice(made if fresh else await self._free(plan, made), lacking - added))
            await self._store(plan, rows)
            added += len(rows)
            number += 1
        return added, None

    def _rows(self, plan: EntityPlan, columns: Mapping[str, Column], number: int) -> list[Any]:
        """Return the rows of a batch, the same whatever was made before; fewer where a column has no more values."""
        first, count = number * self._batch, self._batch
        made = []
        for name, column in columns.items():
            try:
                chance = Random(f"{self._seed}/{plan.table}/{name}/{number}")  # noqa: S311 - to be the same again
                made.append(column(chance, first, count))
            except NoValues as fault:
                raise _Exhausted(f"{plan.shape.name}.{name}: {fault}") from None
        entity, names = plan.shape.type, tuple(columns)
        return [entity(**dict(zip(names, values, strict=True))) for values in zip(*made, strict=False)]

    async def _free(self, plan: EntityPlan, rows: list[Any]) -> list[Any]:
        """Return those rows of which neither the id nor a unique value is taken."""
        unique = ["id", *(a.name for a in plan.shape.attributes if a.spec.unique and a.name not in STANDARD_FIELDS)]
        unit = self._unit(write=False)
        try:
            for name in unique:
                values = tuple(value for row in rows if (value := getattr(row, name)) is not None)
                where = Among(name, values) if name == "id" else Among(name, values) & self._within(plan)
                found = await unit.transaction().rows(plan.shape.type).fetch(Query(where=where))
                taken = {getattr(row, name) for row in found}
                rows = [row for row in rows if getattr(row, name) not in taken]
        finally:
            await unit.rollback()
        return rows

    async def _store(self, plan: EntityPlan, rows: list[Any]) -> None:
        unit = self._unit(write=True)
        try:
            await Bulk(unit, plan).add_all(rows)
            await unit.commit()
        except Invalid as fault:
            named = fault.faults[0]
            raise _refused(plan, (named.pointer or "").rpartition("/")[2], f"{named.detail}") from fault
        except Problem as fault:
            raise Refusal(f"{plan.shape.name}: rows could not be added: {fault.code}: {fault.detail}") from fault
        finally:
            await unit.rollback()

    async def _made(self, plan: EntityPlan) -> dict[str, Column]:
        """Return the column of each field that a row is made of."""
        made: dict[str, Column] = {"id": _ids}
        referred = {reference.field: reference.entity for reference in plan.references}
        for attribute in plan.shape.attributes:
            name = attribute.name
            if name in STANDARD_FIELDS or (plan.soft_delete and name == DELETED_AT):
                continue
            if plan.tenancy is not None and name == plan.tenancy.field:
                made[name] = _constant(plan.tenancy.of(self._who))
            elif name in referred:
                made[name] = await self._references(plan, name, referred[name])
            elif name in plan.owners and attribute.kind is FieldKind.UUID and not attribute.spec.unique:
                made[name] = _skewed(self._people)
            else:
                try:
                    made[name] = self._columns.column(attribute, plan.shape.name)
                except NoValues as fault:
                    raise _refused(plan, name, str(fault)) from None
        return made

    async def _references(self, plan: EntityPlan, name: str, target: type[Entity]) -> Column:
        attribute = plan.shape.by_name[name]
        ids = await self._ids_of(target)
        if not ids and attribute.optional:
            return _constant(None)
        if not ids:
            other = self._bound.plans[target].shape.name
            raise _refused(plan, name, f"refers to a {other}, of which there is none", f"--entity {other} as well")
        return _skewed(ids) if not attribute.spec.unique else _one_each(ids, optional=attribute.optional)

    async def _ids_of(self, entity: type[Entity]) -> list[UUID]:
        unit = self._unit(write=False)
        try:
            query = Query(where=self._within(self._bound.plans[entity]), sort=(Sort("id"),), limit=REFERRED)
            return [row.id async for row in unit.transaction().rows(entity).stream(query)]
        finally:
            await unit.rollback()


def _refused(plan: EntityPlan, field: str, why: str, *remedies: str) -> Refusal:
    name = f"{plan.shape.name}.{field}" if field else plan.shape.name
    return Refusal(f"rows cannot be made up: {name}: {why}", *(remedies or ("--entity leaves out what is not named",)))


def _ids(chance: Random, first: int, count: int) -> list[UUID]:
    """Return UUIDs of version 7 (RFC 9562) that go up with the number of the row, from before all others."""
    start = int(LATEST.timestamp() * 1000) - 365 * 10 * 86_400_000
    made = []
    for number in range(first, first + count):
        tail = (0x7 << 76) | (chance.getrandbits(12) << 64) | (0b10 << 62) | chance.getrandbits(62)
        made.append(UUID(int=((start + number * _APART) << 80) | tail))
    return made


def _one_each(ids: Sequence[UUID], *, optional: bool) -> Column:
    """Return each of the values once, and none after them where that is allowed."""

    def each(_: Random, first: int, count: int) -> list[UUID | None]:
        if first >= len(ids) and not optional:
            raise NoValues(f"all {len(ids):,} rows that it can refer to are taken")
        taken: list[UUID | None] = list(ids[first : first + count])
        return taken + [None] * (count - len(taken)) if optional else taken

    return each


def _constant(value: Any) -> Column:
    return lambda _, __, count: [value] * count


def _skewed(values: Sequence[Any]) -> Column:
    """Return a choice of values, of which the first are chosen the most often."""
    size = len(values)
    return lambda chance, _, count: [values[int(chance.random() ** _SKEW * size)] for _ in range(count)]
