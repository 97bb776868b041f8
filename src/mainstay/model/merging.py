"""Merge patches (RFC 7396) of values inside a row: objects of a patch, resolved against what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mainstay.model.checking import pointer_step
from mainstay.model.conditions import FALSE, TRUE, holds
from mainstay.model.inputs import Patch
from mainstay.model.policy import prepare
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Invalid
from mainstay.model.schema import Shape


class NestedPatch(Patch[Any]):
    """The changes of an object inside a patch: of a struct (``target``), or of a map where it is None."""

    __slots__ = ("target",)

    def __init__(self, changes: Mapping[str, Any], target: Any = None) -> None:
        super().__init__(changes)
        self.target: Any = target


def write_faults(row: Any, names: Iterable[str], who: Principal, shape: Shape) -> list[Fault]:
    """Return a fault for each named field that a caller may not set in this row, by the field's ``write=`` policy.

    ``shape`` is the row's: a claim is compared as a value of its field's type.
    """
    specs = type(row).__mainstay_fields__
    faults = []
    for name in names:
        policy = specs[name].write if name in specs else None
        if policy is None:
            continue
        condition = prepare(policy, shape.types).reduce(who)
        if condition is not TRUE and (condition is FALSE or not holds(condition, row)):
            detail = "may not be set by this caller"
            faults.append(Fault("forbidden_field", detail, pointer=f"/{pointer_step(name)}"))
    return faults


def applied(row: Any, patch: Patch[Any], who: Principal, shape: Shape) -> dict[str, Any]:
    """Return what a caller's patch changes in a row. Raises ``Invalid``, for fields that it may not set too."""
    faults = write_faults(row, patch.changes, who, shape)
    if faults:
        raise Invalid(faults=faults)
    return merged(row, patch.changes)


def merged(row: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with the objects in them merged into what the row has.

    Raises ``Invalid`` where an object that was not there is given in part only.
    """
    faults: list[Fault] = []
    result = {
        name: _merge(getattr(row, name, None), change, f"/{pointer_step(name)}", faults)
        if isinstance(change, NestedPatch)
        else change
        for name, change in changes.items()
    }
    if faults:
        raise Invalid(faults=faults)
    return result


def _merge(held: Any, change: Any, pointer: str, faults: list[Fault]) -> Any:
    if not isinstance(change, NestedPatch):
        return change
    if change.target is None:
        return _merge_map(held, change.changes, pointer, faults)
    inner = {
        name: _merge(getattr(held, name, None), value, f"{pointer}/{pointer_step(name)}", faults)
        for name, value in change.changes.items()
    }
    if isinstance(held, change.target):
        return msgspec.structs.replace(held, **inner)
    missing = [f.name for f in msgspec.structs.fields(change.target) if f.required and f.name not in inner]
    if missing:
        faults.extend(Fault("missing", "is required", pointer=f"{pointer}/{pointer_step(n)}") for n in missing)
        return None
    return change.target(**inner)


def _merge_map(held: Any, changes: Mapping[str, Any], pointer: str, faults: list[Fault]) -> dict[str, Any]:
    result = dict(held) if isinstance(held, Mapping) else {}
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merge_map(result.get(name), value, f"{pointer}/{pointer_step(name)}", faults)
        else:
            result[name] = _merge(result.get(name), value, f"{pointer}/{pointer_step(name)}", faults)
    return result
