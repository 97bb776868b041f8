"""Views: what of a value a caller is shown. Hidden fields never, masked ones where their policy lets the caller.

A struct that hides nothing, masks nothing and keeps its names is *direct*: it is encoded as it is. Any other is shown
as a dict of what is left, at every depth.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from mainstay.model.conditions import FALSE, TRUE, Condition, holds
from mainstay.model.fields import MISSING
from mainstay.model.naming import wire_names
from mainstay.model.policy import Policy, prepare
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, FieldKind, Shapes
from mainstay.model.service import Case

_KEPT = 64  # of what is shown to principals alike, by the policies that let them

Below = Callable[[Any, "Look"], Any]


class Look:
    """One look of one principal: what of each struct it is shown, found out once, and what was left out."""

    __slots__ = ("left_out", "narrow", "shapes", "who")

    def __init__(self, who: Principal) -> None:
        self.who = who
        self.left_out: set[str] = set()
        self.shapes: dict[View, _Shown] = {}
        self.narrow: dict[View, _Shown] = {}  # of what only some fields were asked for


class _Field(msgspec.Struct, frozen=True):
    """One field that may be shown."""

    name: str
    wire: str
    policy: int | None  # its place among the policies of the view
    below: Below | None
    default: Any  # not shown where the value is this; MISSING where it always is


class _Shown(NamedTuple):
    """What one look shows of a struct: all fields in one go, then those that need more."""

    get: Callable[[Any], tuple[Any, ...]]
    wires: tuple[str, ...]
    absent: tuple[tuple[str, Any], ...]
    below: tuple[tuple[str, Below], ...]
    conditions: tuple[tuple[str, Condition], ...]
    left_out: tuple[str, ...]


class View:
    """What is shown of one struct."""

    __slots__ = ("_fields", "_kept", "_tag", "direct", "policies", "relations", "struct")

    def __init__(self, struct: Any) -> None:
        self.struct = struct
        self.direct = True
        self.policies: tuple[Policy, ...] = ()
        self.relations: tuple[str, ...] = ()
        self._fields: tuple[_Field, ...] = ()
        self._tag: dict[str, Any] = {}
        self._kept: dict[tuple[bool, ...], _Shown] = {}

    def fill(self, fields: list[_Field], *, direct: bool, policies: list[Policy], relations: tuple[str, ...]) -> None:
        """Say what is shown, once all structs below are known."""
        self._fields = tuple(fields)
        self.direct = direct
        self.policies = tuple(policies)
        self.relations = relations
        config = self.struct.__struct_config__
        self._tag = {} if config.tag is None else {config.tag_field: config.tag}

    def open(self, who: Principal) -> bool:
        """Say whether this principal is shown all of it, so that it can be encoded as it is."""
        if not self.policies:
            return self.direct
        return self.direct and all(policy.reduce(who) is TRUE for policy in self.policies)

    def show(self, value: Any, look: Look, only: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return what is shown of a value; ``only`` names the fields asked for. Loaded relations are always shown."""
        known = look.shapes if only is None else look.narrow
        plan = known.get(self)
        if plan is None:
            plan = known[self] = self._plan(look.who, only)
            look.left_out.update(plan.left_out)
        get, wires, absent, below, conditions, _ = plan
        shown = dict(zip(wires, get(value), strict=True))
        if self._tag:
            shown = {**self._tag, **shown}
        for wire, condition in conditions:
            if not holds(condition, value):
                look.left_out.add(wire)
                del shown[wire]
        for wire, default in absent:
            if wire in shown and (shown[wire] is default or shown[wire] == default):
                del shown[wire]
        for wire, show in below:
            if shown.get(wire) is not None:
                shown[wire] = show(shown[wire], look)
        return shown

    def _plan(self, who: Principal, only: tuple[str, ...] | None) -> _Shown:
        """Return what a principal is shown; where that depends on no row, it is made once for all alike."""
        reduced = [policy.reduce(who) for policy in self.policies]
        if only is not None or any(condition is not TRUE and condition is not FALSE for condition in reduced):
            return self._make(reduced, only)
        key = tuple(condition is TRUE for condition in reduced)
        plan = self._kept.get(key)
        if plan is None:
            plan = self._make(reduced, only)
            if len(self._kept) < _KEPT:
                self._kept[key] = plan
        return plan

    def _make(self, reduced: list[Condition], only: tuple[str, ...] | None) -> _Shown:
        asked = [f for f in self._fields if only is None or f.name in only or f.name in self.relations]
        told = [(field, TRUE if field.policy is None else reduced[field.policy]) for field in asked]
        fields = [field for field, condition in told if condition is not FALSE]
        return _Shown(
            _getter([field.name for field in fields]),
            tuple(field.wire for field in fields),
            tuple((field.wire, field.default) for field in fields if field.default is not MISSING),
            tuple((field.wire, field.below) for field in fields if field.below is not None),
            tuple(
                (field.wire, condition) for field, condition in told if condition is not TRUE and condition is not FALSE
            ),
            tuple(field.wire for field, condition in told if condition is FALSE),
        )


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gets all of the attributes as a tuple, in one call where there are several."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


class Views:
    """Makes the views of one service's structs, each once."""

    def __init__(self, shapes: Shapes, case: Case) -> None:
        self._shapes = shapes
        self._case = case
        self._made: dict[Any, View] = {}

    def of(self, struct: Any) -> View:
        """Return the view of a struct, with those of all structs in it."""
        known = self._made.get(struct)
        if known is not None:
            return known
        view = self._made[struct] = View(struct)
        self._fill(view, {})
        return view

    def _fill(self, view: View, above: dict[Any, View]) -> None:
        struct = view.struct
        shape = self._shapes.of(struct)
        types, names = shape.types, wire_names(struct, self._case)
        infos = {info.name: info for info in msgspec.structs.fields(struct)}
        fields: list[_Field] = []
        policies: list[Policy] = []
        direct = not any(a.hidden for a in shape.attributes)
        direct = direct and all(names[info.name] == info.encode_name for info in infos.values())
        for name in struct.__struct_fields__:
            attribute = shape.by_name[name]
            if attribute.hidden:
                continue
            below = self._below(attribute, {**above, struct: view})
            policy = None if attribute.spec.read is None else _place(prepare(attribute.spec.read, types), policies)
            fields.append(_Field(name, names[name], policy, below, _absent(struct, infos[name])))
            direct = direct and below is None
        relations = tuple(relation.name for relation in shape.relations)
        view.fill(fields, direct=direct, policies=policies, relations=relations)

    def _below(self, attribute: Attribute, above: dict[Any, View]) -> Below | None:
        """Return what shows a value of a field, or None where it may be encoded as it is."""
        kind = attribute.kind
        if kind in (FieldKind.STRUCT, FieldKind.ONE, FieldKind.MANY):
            show = self._of_struct(attribute.base, above)
            if show is None or kind is not FieldKind.MANY:
                return show
            return lambda rows, look: [show(row, look) for row in rows]
        if kind is FieldKind.ANY:
            return self.any
        if kind in (FieldKind.LIST, FieldKind.MAP) and attribute.items is None:
            return self.any
        below = None if attribute.items is None else self._below(attribute.items, above)
        if attribute.base in (set, frozenset):
            return _in_order
        if below is None:
            return None
        if kind is FieldKind.MAP:
            return lambda held, look: {k: None if v is None else below(v, look) for k, v in held.items()}
        return lambda held, look: [None if v is None else below(v, look) for v in held]

    def _of_struct(self, struct: Any, above: dict[Any, View]) -> Below | None:
        if struct in above:
            return above[struct].show  # a struct that refers to itself is never direct
        known = self._made.get(struct)
        if known is None:
            known = self._made[struct] = View(struct)
            self._fill(known, above)
        return None if known.direct and not known.policies else known.show

    def any(self, value: Any, look: Look) -> Any:
        """Show a value of no declared type by what it is: a struct in it is shown by its own view."""
        if isinstance(value, msgspec.Struct):
            return self.of(type(value)).show(value, look)
        if isinstance(value, dict):
            return {name: self.any(held, look) for name, held in value.items()}
        if isinstance(value, list | tuple):
            return [self.any(held, look) for held in value]
        if isinstance(value, set | frozenset):
            return [self.any(held, look) for held in _in_order(value, look)]
        return value


def _place(policy: Policy, policies: list[Policy]) -> int:
    """Return the place of a policy among those of a view, so that fields that share one share its reduction too."""
    if policy not in policies:
        policies.append(policy)
    return policies.index(policy)


def _absent(struct: Any, info: msgspec.structs.FieldInfo) -> Any:
    """Return the value with which a field is left out of the answer, as the encoder does it; MISSING for none."""
    if info.default is msgspec.UNSET:
        return msgspec.UNSET
    if info.required or not struct.__struct_config__.omit_defaults:
        return MISSING
    return info.default if info.default is not msgspec.NODEFAULT else info.default_factory()


def _in_order(values: Any, _look: Look) -> list[Any]:
    """Return a set as a list in an order of its own, so that the same value is always the same bytes."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)
