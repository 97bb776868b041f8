"""Keyset cursors: where a page ended, sealed, and good for the same search only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, TRUE, AllOf, AnyOf, Compare, Condition, key
from mainstay.model.inputs import Sort
from mainstay.model.problem import Malformed
from mainstay.model.schema import Attribute
from mainstay.ports.unit_of_work import EntityPlan, Frame


class CursorInvalid(Malformed, hint="Begin again without a cursor."):
    """The cursor is not one of this search."""


_BY_ID = (Sort("id"),)
_WRITTEN = (repr(_BY_ID), repr(TRUE))  # most cursors are of these, and it takes long to write them

Asked = tuple[Condition, Condition]
"""The filters of the caller, and the conditions of the use case."""


def after(plan: EntityPlan, order: Sequence[Sort], start: Sequence[Any]) -> Condition:
    """Return the condition of the rows that come behind the one with the values ``start`` in this order."""
    alternatives: list[Condition] = []
    equal: list[Condition] = []
    for by, value in zip(order, start, strict=True):
        beyond = _beyond(by, value, plan.shape.by_name[by.field].optional)
        if beyond is not FALSE:
            alternatives.append(AllOf((*equal, beyond)) if equal else beyond)
        equal.append(Compare(by.field, "eq", value))
    first = order[0]
    if len(order) == 1 or start[0] is None or (first.descending and plan.shape.by_name[first.field].optional):
        return AnyOf(tuple(alternatives)) if len(alternatives) != 1 else alternatives[0]
    # Implied by the alternatives, and what lets a store begin at the right place of an index.
    bound = Compare(first.field, "le" if first.descending else "ge", start[0])
    return AllOf((bound, AnyOf(tuple(alternatives))))


def _beyond(by: Sort, value: Any, optional: bool) -> Condition:
    """Null sorts before every value: ascending it is first, descending it is last."""
    if not by.descending:
        return Compare(by.field, "ne", None) if value is None else Compare(by.field, "gt", value)
    if value is None:
        return FALSE
    below = Compare(by.field, "lt", value)
    return AnyOf((below, Compare(by.field, "eq", None))) if optional else below


def _context(frame: Frame, plan: EntityPlan, asked: Asked, order: Sequence[Sort]) -> bytes:
    """What a cursor is bound to: operation, entity, filters, order, tenant, and the form of the use case's conditions.

    Not the values of these: they may hold the time of the call. Where a row policy says who sees which rows, to the
    caller too: a cursor holds values of a row, and another's position among one's own rows would tell of them.
    """
    filters, given = asked
    whose = (frame.who.tenant, None if plan.policy is None else frame.who.id)
    keys = _WRITTEN[0] if order == _BY_ID else repr(tuple(order))
    asked_for = _WRITTEN[1] if filters is TRUE else repr(filters)
    return f"({frame.operation!r}, {plan.shape.name!r}, {asked_for}, {key(given)!r}, {keys}, {whose!r})".encode()


def seal_cursor(frame: Frame, plan: EntityPlan, asked: Asked, order: Sequence[Sort], values: list[Any]) -> str:
    """Return the cursor behind a row that has these values, in the order of its keys."""
    return frame.sealer.seal(msgspec.json.encode(values), _context(frame, plan, asked, order))


def open_cursor(frame: Frame, plan: EntityPlan, asked: Asked, order: Sequence[Sort], text: str) -> tuple[Any, ...]:
    """Return the values that a cursor was made of. Raises ``CursorInvalid``."""
    data = frame.sealer.open(text, _context(frame, plan, asked, order))
    if data is None:
        raise CursorInvalid
    types = tuple(_type(plan.shape.by_name[by.field]) for by in order)
    try:
        return tuple(msgspec.json.decode(data, type=tuple[types]))  # type: ignore[valid-type]  # made at run time
    except msgspec.ValidationError as error:
        raise CursorInvalid from error


def _type(attribute: Attribute) -> Any:
    """The type of a field's values without its bounds, which may be tighter today than those of a stored row."""
    return attribute.base | None if attribute.optional else attribute.base
