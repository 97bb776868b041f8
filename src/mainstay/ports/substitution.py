"""What a condition says of a row once some of its fields have been given other values."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Not,
    fields,
    holds,
)

_MIRROR = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


def after_change(condition: Condition, changes: Mapping[str, Any]) -> Condition:
    """Return the condition on rows as they are under which ``condition`` will hold of them as they will be."""
    match condition:
        case Not(of):
            return ~after_change(of, changes)
        case AllOf(parts):
            result: Condition = TRUE
            for part in parts:
                result = result & after_change(part, changes)
            return result
        case AnyOf(parts):
            result = FALSE
            for part in parts:
                result = result | after_change(part, changes)
            return result
    named = set(fields(condition))
    if named.isdisjoint(changes):
        return condition
    if named <= changes.keys():
        return TRUE if holds(condition, SimpleNamespace(**changes)) else FALSE
    assert isinstance(condition, CompareFields)  # the only leaf that looks at more than one field
    left, op, right = condition.left, condition.op, condition.right
    if left in changes:
        left, op, right = right, _MIRROR[op], left
    return FALSE if changes[right] is None else Compare(left, op, changes[right])
