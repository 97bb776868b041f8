"""Fields that only some callers may set: the ``write=`` policies of a struct, asked of a decoded value.

Nobody may set what is ``read_only``, however deep in a body it stands. A policy that looks at the row cannot be decided
before there is one; it is asked where the change meets its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE
from mainstay.model.policy import Policy, anyone
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, FieldKind, Shapes

Guard = Callable[[Any, Principal], bool]
"""Says whether a principal may set all that a value sets."""

NOBODY = ~anyone


def writers(attribute: Attribute, *, fixed: bool) -> Policy | None:
    """Return who may set a field, None for every caller; ``fixed`` says that read-only fields are set by nobody."""
    return NOBODY if fixed and attribute.spec.read_only else attribute.spec.write


class Guards:
    """Makes the guards of structs; one that refers to itself is made once."""

    def __init__(
        self, shapes: Shapes, prepare: Callable[[Policy, Mapping[str, Any]], Policy], *, fixed: bool = False
    ) -> None:
        self._shapes = shapes
        self._prepare = prepare
        self._fixed = fixed
        self._made: dict[Any, list[Guard | None]] = {}

    def of(self, struct: Any) -> Guard | None:
        """Return the guard of a struct, or None where every caller may set all of it."""
        if not self._guarded(struct, set()):
            return None
        known = self._made.get(struct)
        if known is not None:
            return known[0] if known else lambda value, who: known[0] is None or known[0](value, who)
        made: list[Guard | None] = []
        self._made[struct] = made
        shape = self._shapes.of(struct)
        parts: list[Guard] = []
        for info in msgspec.structs.fields(struct):
            attribute = shape.by_name[info.name]
            policy = writers(attribute, fixed=self._fixed)
            if policy is not None:
                parts.append(_own(info, self._prepare(policy, shape.types)))
            below = self._below(attribute)
            if below is not None:
                parts.append(_member(info.name, below))
        made.append(_every(parts) if parts else None)
        return made[0]

    def _guarded(self, struct: Any, seen: set[Any]) -> bool:
        """Say whether a struct, or one below it, has a field that not everybody may set."""
        seen.add(struct)
        for attribute in self._shapes.of(struct).attributes:
            below: Attribute | None = attribute
            while below is not None and below.kind is not FieldKind.STRUCT:
                below = below.items
            inside = below is not None and below.base not in seen and self._guarded(below.base, seen)
            if inside or writers(attribute, fixed=self._fixed) is not None:
                return True
        return False

    def _below(self, attribute: Attribute) -> Guard | None:
        if attribute.kind is FieldKind.STRUCT:
            return self.of(attribute.base)
        below = self._below(attribute.items) if attribute.items is not None else None
        if below is None:
            return None
        if attribute.kind is FieldKind.MAP:
            return lambda held, who: all(below(value, who) for value in held.values() if value is not None)
        return lambda held, who: all(below(value, who) for value in held if value is not None)


def _own(info: msgspec.structs.FieldInfo, policy: Policy) -> Guard:
    name, required = info.name, info.required

    def may(value: Any, who: Principal) -> bool:
        if policy.reduce(who) is not FALSE:
            return True
        if required:
            return False
        default = info.default_factory() if info.default is msgspec.NODEFAULT else info.default
        held = getattr(value, name)
        return held is default or held == default

    return may


def _member(name: str, below: Guard) -> Guard:
    def may(value: Any, who: Principal) -> bool:
        held = getattr(value, name)
        return held is None or held is msgspec.UNSET or below(held, who)

    return may


def _every(parts: list[Guard]) -> Guard:
    fixed = tuple(parts)

    return lambda value, who: all(part(value, who) for part in fixed)
