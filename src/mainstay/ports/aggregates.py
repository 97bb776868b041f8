"""Figures over rows: counted, summed and grouped by the store, under the entity's row policy."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from mainstay.model.conditions import Condition
from mainstay.model.schema import COMPARABLE, Attribute, FieldKind
from mainstay.model.structs import Entity
from mainstay.ports.asking import narrowed, refuse_encrypted
from mainstay.ports.rows import Aggregate
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

E = TypeVar("E", bound=Entity)
T = TypeVar("T", bound=msgspec.Struct)

MAX_GROUPS = 1000
_NUMBERS = frozenset({FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DECIMAL})
_ZERO: dict[FieldKind, Any] = {FieldKind.INTEGER: 0, FieldKind.FLOAT: 0.0}


class Measure(msgspec.Struct, frozen=True):
    """A figure of a group: what ``group(...)`` is given by keyword."""

    function: str
    field: str | None = None


def count_of(field: str | None = None) -> Any:
    """How many rows a group has, or how many in which a field is not null."""
    return Measure("count", field)


def sum_of(field: str) -> Any:
    """The sum of a field, zero over nothing."""
    return Measure("sum", field)


def avg_of(field: str) -> Any:
    """The mean of a field, None over nothing: a Decimal of a Decimal field, else a float."""
    return Measure("avg", field)


def min_of(field: str) -> Any:
    """The least value of a field, None over nothing."""
    return Measure("min", field)


def max_of(field: str) -> Any:
    """The greatest value of a field, None over nothing."""
    return Measure("max", field)


class Aggregates(Generic[E]):
    """Figures over the rows of one entity that the caller of this use case may see.

    Conditions are those of the repository. Nulls are left out of every figure but the count of rows.
    """

    __slots__ = ("_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        self._unit = unit
        self._plan = plan

    async def count(self, *conditions: Condition, **fields: Any) -> int:
        """Return how many rows match."""
        return int(await self._figure(Measure("count"), conditions, fields))

    async def sum(self, field: str, /, *conditions: Condition, **fields: Any) -> Any:
        """Return the sum of a number field, exactly, in the field's type; zero over nothing."""
        return await self._figure(Measure("sum", field), conditions, fields)

    async def avg(self, field: str, /, *conditions: Condition, **fields: Any) -> Any:
        """Return the mean of a number field: a Decimal of a Decimal field, else a float; None over nothing."""
        return await self._figure(Measure("avg", field), conditions, fields)

    async def min(self, field: str, /, *conditions: Condition, **fields: Any) -> Any:
        """Return the least value of a field, None over nothing."""
        return await self._figure(Measure("min", field), conditions, fields)

    async def max(self, field: str, /, *conditions: Condition, **fields: Any) -> Any:
        """Return the greatest value of a field, None over nothing."""
        return await self._figure(Measure("max", field), conditions, fields)

    async def group(
        self,
        into: type[T],
        /,
        *conditions: Condition,
        by: str | Sequence[str],
        limit: int = MAX_GROUPS,
        **measures: Any,
    ) -> list[T]:
        """Return one ``into`` for each group of rows with the same values in ``by``, in the order of these.

        ``group(Sales, by="status", orders=count_of(), revenue=sum_of("total"))`` fills the fields ``status``,
        ``orders`` and ``revenue`` of ``Sales``; ``all_of(...)`` makes a condition of keywords. There are at most
        ``limit`` groups, the first ones. Raises ``TypeError`` where ``into`` has no such field, or the entity none to
        measure.
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        for name in names:
            self._attribute(name, "grouped by", COMPARABLE)
        missing = {*names, *measures}.difference(into.__struct_fields__)
        if missing or not names:
            raise TypeError(f"{into.__name__} has no field {', '.join(sorted(missing)) or 'to group by'}")
        if not 1 <= limit <= MAX_GROUPS:
            raise ValueError(f"limit: expected 1 to {MAX_GROUPS}, got {limit}")
        found = await self._fetch(list(measures.values()), conditions, {}, names, limit)
        return [into(**dict(zip((*names, *measures), values, strict=True))) for values in found]

    async def _figure(self, measure: Measure, conditions: Sequence[Condition], fields: dict[str, Any]) -> Any:
        return (await self._fetch([measure], conditions, fields, (), None))[0][0]

    async def _fetch(
        self,
        measures: Sequence[Measure],
        conditions: Sequence[Condition],
        fields: dict[str, Any],
        by: tuple[str, ...],
        limit: int | None,
    ) -> list[tuple[Any, ...]]:
        """Ask the store for what the measures are made of, each once, and make them of it."""
        asked: dict[tuple[str, str | None], int] = {}
        recipes = [self._recipe(measure, asked) for measure in measures]
        where = narrowed(self._plan, conditions, fields) & self._unit.reach(self._plan)
        rows = self._unit.transaction().rows(self._plan.shape.type)
        found = await rows.aggregate(Aggregate(measures=tuple(asked), by=by, where=where, limit=limit))
        return [(*group[: len(by)], *(make(group[len(by) :]) for make in recipes)) for group in found]

    def _recipe(self, measure: Measure, asked: dict[tuple[str, str | None], int]) -> Any:
        function, field = measure.function, measure.field

        def place(name: str) -> int:
            return asked.setdefault((name, field), len(asked))

        if function == "count" or field is None:
            if field is not None:
                self._attribute(field, "counted", frozenset(FieldKind))
            at = place("count")
            return lambda figures: figures[at]
        if function in ("min", "max"):
            self._attribute(field, "compared", COMPARABLE)
            at = place(function)
            return lambda figures: figures[at]
        attribute = self._attribute(field, "summed", _NUMBERS)
        at = place("sum")
        if function == "sum":
            zero = _zero(attribute)
            return lambda figures: zero if figures[at] is None else figures[at]
        of = place("count")
        return lambda figures: figures[at] / figures[of] if figures[of] else None

    def _attribute(self, name: str, what: str, kinds: frozenset[FieldKind]) -> Attribute:
        attribute = self._plan.shape.by_name.get(name)
        if attribute is None or attribute.relation is not None:
            raise TypeError(f"{self._plan.shape.name} has no field {name}")
        refuse_encrypted(self._plan, name)
        if attribute.kind not in kinds:
            raise TypeError(f"{self._plan.shape.name}.{name} is a {attribute.kind.value}: it cannot be {what}")
        return attribute


def _zero(attribute: Attribute) -> Any:
    return _ZERO.get(attribute.kind, Decimal(0).scaleb(-attribute.places))


__all__ = ["MAX_GROUPS", "Aggregates", "Measure", "avg_of", "count_of", "max_of", "min_of", "sum_of"]
