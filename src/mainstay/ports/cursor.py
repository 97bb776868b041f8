"""Keyset cursors: where a page ended, sealed, and good for the same search only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, All, Any_, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import Malformed
from mainstay.ports.unit_of_work import EntityPlan, Frame


class CursorInvalid(Malformed, hint="Begin again without a cursor."):
    """The cursor is not one of this search."""


def ordered(sort: Sequence[Sort]) -> tuple[Sort, ...]:
    """Return the order with the id as its last key, so that no two rows are equal in it."""
    return tuple(sort) if any(s.field == "id" for s in sort) else (*sort, Sort("id"))


def after(order: Sequence[Sort], start: Sequence[Any]) -> Condition:
    """Return the condition of the rows that come behind the one with the values ``start`` in this order."""
    alternatives: list[Condition] = []
    equal: list[Condition] = []
    for key, value in zip(order, start, strict=True):
        beyond = _beyond(key, value)
        if beyond is not FALSE:
            alternatives.append(All((*equal, beyond)) if equal else beyond)
        equal.append(Compare(key.field, "eq", value))
    return Any_(tuple(alternatives)) if alternatives else FALSE


def _beyond(key: Sort, value: Any) -> Condition:
    """Null sorts before every value: ascending it is first, descending it is last."""
    if key.descending:
        return FALSE if value is None else Any_((Compare(key.field, "lt", value), Compare(key.field, "eq", None)))
    return Compare(key.field, "ne", None) if value is None else Compare(key.field, "gt", value)


def _context(frame: Frame, plan: EntityPlan, asked: Sequence[Any], order: Sequence[Sort]) -> bytes:
    """What a cursor is bound to: operation, entity, filters, order and tenant."""
    parts = (frame.operation, plan.shape.name, repr(asked), repr(tuple(order)), frame.who.tenant)
    return repr(parts).encode()


def seal_cursor(frame: Frame, plan: EntityPlan, asked: Sequence[Any], order: Sequence[Sort], last: Any) -> str:
    """Return the cursor behind a row."""
    values = [getattr(last, key.field) for key in order]
    return frame.sealer.seal(msgspec.json.encode(values), _context(frame, plan, asked, order))


def open_cursor(
    frame: Frame, plan: EntityPlan, asked: Sequence[Any], order: Sequence[Sort], text: str
) -> tuple[Any, ...]:
    """Return the values that a cursor was made of. Raises ``CursorInvalid``."""
    data = frame.sealer.open(text, _context(frame, plan, asked, order))
    if data is None:
        raise CursorInvalid
    types = tuple[tuple(plan.shape.by_name[key.field].type for key in order)]  # type: ignore[misc]  # made at run time
    try:
        return tuple(msgspec.json.decode(data, type=types))
    except msgspec.ValidationError as error:
        raise CursorInvalid from error
