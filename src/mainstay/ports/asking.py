"""What a use case asks of rows, from keywords to values: conditions and orders, checked against the entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Not,
    Search,
    Term,
    fields,
    having,
)
from mainstay.model.inputs import Sort
from mainstay.ports.unit_of_work import EntityPlan

_BY_ID = (Sort("id"),)


def narrowed(plan: EntityPlan, conditions: Sequence[Condition], named: Mapping[str, Any]) -> Condition:
    """Return the condition that all of these hold. Raises ``TypeError`` for a field that the entity does not have."""
    result: Condition = TRUE
    for condition in conditions:
        if condition is not TRUE:
            if plan.searchable:
                condition = spelled(plan, condition)
            for name in fields(condition):
                _known(plan, name)
            if plan.encrypted:
                _check_encrypted(plan, condition)
            result = result & condition
    for name, value in named.items():
        _known(plan, name)
        made = value.build(name) if isinstance(value, Term) else Compare(name, "eq", value)
        if plan.encrypted:
            _check_encrypted(plan, made)
        result = result & made
    return result


def order_of(plan: EntityPlan, text: str | None, given: Sequence[Sort]) -> tuple[Sort, ...]:
    """Return an order ("-created_at,name", or keys) with the id as its last key: no two rows are equal in it."""
    if text:
        given = [Sort(part.strip().lstrip("-"), part.strip().startswith("-")) for part in text.split(",")]
    elif not given:
        return _BY_ID
    order = []
    for key in given:
        _known(plan, key.field)
        refuse_encrypted(plan, key.field)
        order.append(key)
        if key.field == "id":
            return tuple(order)
    return (*order, *_BY_ID)


def spelled(plan: EntityPlan, condition: Condition) -> Condition:
    """Return a condition in which searches are spelled out for an entity. Raises ``TypeError`` for other fields."""
    match condition:
        case Search(words, names):
            for name in names:
                if name not in plan.searchable:
                    raise TypeError(f"{plan.shape.name}.{name} is not searchable: declare field(searchable=True)")
            return having(words, names or plan.searchable)
        case Not(of):
            return ~spelled(plan, of)
        case AllOf(parts):
            return reduce(and_, (spelled(plan, part) for part in parts), TRUE)
        case AnyOf(parts):
            return reduce(or_, (spelled(plan, part) for part in parts), FALSE)
    return condition


def _known(plan: EntityPlan, name: str) -> None:
    if name not in plan.columns:
        raise TypeError(f"{plan.shape.name} has no field {name}")


def refuse_encrypted(plan: EntityPlan, name: str) -> None:
    """Raise ``TypeError`` for a field that is stored encrypted: no store can look at its values."""
    if name in plan.encrypted:
        raise TypeError(f"{plan.shape.name}.{name} is encrypted: rows cannot be found, ordered or counted by it")


def _check_encrypted(plan: EntityPlan, condition: Condition) -> None:
    """Refuse a condition on an encrypted field, unless it is whether there is a value."""
    match condition:
        case Compare(_, _, None):
            return
        case Not(of):
            _check_encrypted(plan, of)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                _check_encrypted(plan, part)
        case _:
            for name in fields(condition):
                refuse_encrypted(plan, name)
