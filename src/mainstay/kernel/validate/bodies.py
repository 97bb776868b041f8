"""What a body is read as: the one Dto, members of their own, a merge patch, the fields of a new row, an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mainstay.kernel.validate.reader import Finish
from mainstay.kernel.validate.wire import IMMUTABLE, READ_ONLY, Member, Wires, creatable, decode_custom, names_of, union
from mainstay.model.fields import EMPTY
from mainstay.model.inputs import Patch
from mainstay.model.merging import NestedPatch
from mainstay.model.naming import wire_names
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.signature import Parameter
from mainstay.model.structs import STANDARD_FIELDS, bounded
from mainstay.model.values import UNASSIGNED

UNSET = msgspec.UNSET


class Form(msgspec.Struct, frozen=True):
    """The struct that a body is decoded as, and what makes the input of it."""

    struct: Any
    finish: Finish | None = None


def dto_form(struct: Any, wires: Wires) -> Form:
    """Return the form of a body that is one struct of the team's."""
    wire = wires.plain(struct)
    return Form(wire) if wire is struct else Form(wire, _back(struct))


def _back(type_: Any) -> Finish:
    """Return what makes a team's value of its mirror."""
    return lambda value: msgspec.convert(value, type_, from_attributes=True, dec_hook=decode_custom)


def members_form(name: str, parameters: Sequence[Parameter], wires: Wires) -> Form:
    """Return the form of a body whose members are parameters; its value is a dict of them."""
    scope: dict[str, tuple[str, Any]] = {}
    members = []
    for parameter in parameters:
        type_ = wires.type_of(bounded(parameter.type, EMPTY), scope)
        if parameter.required:
            members.append(Member(name=parameter.name, type=type_))
        else:
            members.append(Member(name=parameter.name, type=union(type_, msgspec.UnsetType), default=UNSET))
    struct = wires.make(f"{name}_body", members, names_of(members, wires.case), scope=scope)
    wires.tie()
    defaults = {p.name: p.default for p in parameters if not p.required}
    return Form(struct, _given_or(struct, defaults))


def _given_or(struct: Any, defaults: Mapping[str, Any]) -> Finish:
    names: tuple[str, ...] = struct.__struct_fields__

    def finish(value: Any) -> dict[str, Any]:
        found = {}
        for name in names:
            held = getattr(value, name)
            if held is UNSET:
                held = defaults[name]
                held = list(held) if type(held) is list else held
            found[name] = held
        return found

    return finish


def create_form(shape: Shape, owners: Iterable[str], unset: Iterable[str], wires: Wires) -> Form:
    """Return the form of a body that makes a row; its value is the keywords of the entity.

    ``owners`` never come from a body; those in ``unset`` are left for the repository to set from the caller.
    """
    refused = {**_standing(shape), **dict.fromkeys(owners, READ_ONLY)}
    members = creatable(shape, refused)
    names = wire_names(shape.type, wires.case)
    scope: dict[str, tuple[str, Any]] = {}
    members = [msgspec.structs.replace(m, type=wires.type_of(m.type, scope)) for m in members]
    struct = wires.make(
        f"{shape.name}Create",
        members,
        {m.name: names[m.name] for m in members},
        scope=scope,
        refused={names[name]: why for name, why in refused.items()},
    )
    wires.tie()
    backs = _backs(shape, wires)
    unassigned = dict.fromkeys(unset, UNASSIGNED)

    def finish(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = dict(unassigned)
        for name in struct.__struct_fields__:
            held = getattr(value, name)
            if held is not UNSET:
                found[name] = backs[name](held) if name in backs else held
        return found

    return Form(struct, finish)


def _standing(shape: Shape) -> dict[str, tuple[str, str]]:
    """Return the fields that no body sets: the standard ones, the read-only ones, and relations."""
    fixed = [a.name for a in shape.attributes if a.spec.read_only or a.name in STANDARD_FIELDS]
    return dict.fromkeys([*fixed, *(r.name for r in shape.relations)], READ_ONLY)


def patch_form(shape: Shape, owners: Iterable[str], wires: Wires) -> Form:
    """Return the form of a merge patch (RFC 7396); its value is a ``Patch`` of what was given."""
    immutable = {a.name: IMMUTABLE for a in shape.attributes if a.spec.immutable}
    refused = {**immutable, **_standing(shape), **dict.fromkeys(owners, READ_ONLY)}
    relations = {r.name for r in shape.relations}
    struct = wires.patch(shape.type, {n: why for n, why in refused.items() if n not in relations})
    wires.tie()
    changes = _Changes(wires)

    def finish(value: Any) -> Patch[Any]:
        return Patch(changes.of(value, shape))

    return Form(struct, finish)


class _Changes:
    """Takes the decoded struct of a patch apart."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    def of(self, value: Any, shape: Shape) -> dict[str, Any]:
        """Return what was given, by the names of fields."""
        found = {}
        for name in value.__struct_fields__:
            held = getattr(value, name)
            if held is not UNSET:
                found[name] = held if held is None else self._value(held, shape.by_name[name])
        return found

    def _value(self, held: Any, attribute: Attribute) -> Any:
        if attribute.kind is FieldKind.STRUCT:
            return NestedPatch(self.of(held, self._wires.shapes.of(attribute.base)), attribute.base)
        if attribute.kind is FieldKind.MAP or (attribute.kind is FieldKind.ANY and isinstance(held, dict)):
            items = attribute.items
            return NestedPatch({k: v if v is None or items is None else self._value(v, items) for k, v in held.items()})
        if self._wires.case == "camel" and attribute.kind is FieldKind.LIST:
            return _back(attribute.type)(held)
        return held


def _backs(shape: Shape, wires: Wires) -> dict[str, Finish]:
    """Return what makes a team's value of each field that holds structs, where these have mirrors."""
    if wires.case == "snake":
        return {}
    nested = (FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP)
    return {a.name: _back(a.type) for a in shape.attributes if a.kind in nested}
