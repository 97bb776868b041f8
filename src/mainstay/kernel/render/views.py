"""Views: what of a value a caller is shown. Hidden fields never, masked ones where their policy lets the caller.

A struct that hides nothing, masks nothing and keeps its names is *direct*: it is encoded as it is. Any other is shown
as a dict of what is left, at every depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, TRUE, Condition, holds
from mainstay.model.fields import MISSING
from mainstay.model.naming import wire_names
from mainstay.model.policy import Policy, prepare
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, FieldKind, Shapes
from mainstay.model.service import Case

Below = Callable[[Any, "Look"], Any]


class Look:
    """One look of one principal: its policies, each reduced once, and what was left out."""

    __slots__ = ("_reduced", "left_out", "who")

    def __init__(self, who: Principal) -> None:
        self.who = who
        self.left_out: set[str] = set()
        self._reduced: dict[int, Condition] = {}

    def may(self, policy: Policy, row: Any) -> bool:
        """Say whether the principal may see a field of a row."""
        key = id(policy)
        condition = self._reduced.get(key)
        if condition is None:
            condition = self._reduced[key] = policy.reduce(self.who)
        return condition is TRUE or (condition is not FALSE and holds(condition, row))


class _Field(msgspec.Struct, frozen=True):
    """One field that may be shown."""

    name: str
    wire: str
    policy: Policy | None
    below: Below | None
    default: Any  # not shown where the value is this; MISSING where it always is


class View:
    """What is shown of one struct."""

    __slots__ = ("_fields", "_tag", "direct", "policies", "relations", "struct")

    def __init__(self, struct: Any) -> None:
        self.struct = struct
        self.direct = True
        self.policies: tuple[Policy, ...] = ()
        self.relations: tuple[str, ...] = ()
        self._fields: tuple[_Field, ...] = ()
        self._tag: tuple[str, Any] | None = None

    def fill(self, fields: list[_Field], *, direct: bool, policies: list[Policy], relations: tuple[str, ...]) -> None:
        """Say what is shown, once all structs below are known."""
        self._fields = tuple(fields)
        self.direct = direct
        self.policies = tuple(policies)
        self.relations = relations
        config = self.struct.__struct_config__
        self._tag = None if config.tag is None else (config.tag_field, config.tag)

    def open(self, who: Principal) -> bool:
        """Say whether this principal is shown all of it, so that it can be encoded as it is."""
        return self.direct and all(policy.reduce(who) is TRUE for policy in self.policies)

    def show(self, value: Any, look: Look, only: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return what is shown of a value; ``only`` names the fields asked for. Loaded relations are always shown."""
        shown: dict[str, Any] = {} if self._tag is None else {self._tag[0]: self._tag[1]}
        for field in self._fields:
            if only is not None and field.name not in only and field.name not in self.relations:
                continue
            if field.policy is not None and not look.may(field.policy, value):
                look.left_out.add(field.wire)
                continue
            held = getattr(value, field.name)
            if held is msgspec.UNSET or (field.default is not MISSING and held == field.default):
                continue
            shown[field.wire] = held if field.below is None or held is None else field.below(held, look)
        return shown


class Views:
    """Makes the views of one service's structs, each once."""

    def __init__(self, shapes: Shapes, case: Case) -> None:
        self._shapes = shapes
        self._case = case
        self._made: dict[Any, View] = {}
        self._prepared: dict[int, tuple[Policy, Policy]] = {}

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
        names = wire_names(struct, self._case)
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
            policy = None if attribute.spec.read is None else self._prepare(attribute.spec.read)
            default = infos[name].default if struct.__struct_config__.omit_defaults else MISSING
            default = MISSING if default is msgspec.NODEFAULT else default
            fields.append(_Field(name, names[name], policy, below, default))
            direct = direct and below is None
            policies.extend([] if policy is None else [policy])
        relations = tuple(relation.name for relation in shape.relations)
        view.fill(fields, direct=direct, policies=policies, relations=relations)

    def _prepare(self, policy: Policy) -> Policy:
        """Prepare a policy once, so that fields that share one share its reduction too."""
        known = self._prepared.get(id(policy))
        if known is None:
            known = self._prepared[id(policy)] = (policy, prepare(policy))
        return known[1]

    def _below(self, attribute: Attribute, above: dict[Any, View]) -> Below | None:
        """Return what shows a value of a field, or None where it may be encoded as it is."""
        kind = attribute.kind
        if kind in (FieldKind.STRUCT, FieldKind.MANY):
            show = self._of_struct(attribute.base, above)
            if show is None or kind is FieldKind.STRUCT:
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


def _in_order(values: Any, _look: Look) -> list[Any]:
    """Return a set as a list in an order of its own, so that the same value is always the same bytes."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)
