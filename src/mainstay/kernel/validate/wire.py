"""Structs as they stand on the wire: a team's own, or one made of it with other names, fewer fields or none required.

Such a struct is decoded and checked as any other; only what is made of its value differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin

import msgspec

from mainstay.model.fields import EMPTY, MISSING, FieldSpec
from mainstay.model.naming import wire_name, wire_names
from mainstay.model.schema import Attribute, FieldKind, Shape, Shapes
from mainstay.model.service import Case
from mainstay.model.values import Secret

Refused = Mapping[str, tuple[str, str]]
"""Members that are known but not taken: wire name to code and detail."""

READ_ONLY = ("read_only", "is set by the service")
IMMUTABLE = ("immutable", "is set once and cannot be changed")


def decode_custom(type_: Any, value: Any) -> Any:
    """Make a ``Secret``, the one type of the model that msgspec does not know; its rules are checked by us."""
    if isinstance(value, Secret):
        return value
    return Secret(msgspec.convert(value, (get_args(type_) or (str,))[0]))


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a struct that is made: its type on the wire, and its default, UNSET or none."""

    name: str
    type: Any
    spec: FieldSpec = EMPTY
    default: Any = MISSING


class Wires:
    """Makes the structs of one service, each once. One may refer to itself: types are tied when all are made."""

    def __init__(self, shapes: Shapes, case: Case) -> None:
        self.shapes = shapes
        self.case = case
        self._made: dict[tuple[str, Any], Any] = {}
        self._loose: list[tuple[Any, str, tuple[str, Any]]] = []
        self._depth = 0

    def make(
        self,
        name: str,
        members: Iterable[Member],
        names: Mapping[str, str],
        *,
        scope: Mapping[str, tuple[str, Any]] = MappingProxyType({}),
        refused: Refused = MappingProxyType({}),
        ignore: bool = False,
    ) -> Any:
        """Return a new struct. ``scope`` says what the forward references of its types refer to."""
        members = tuple(members)
        made: Any = msgspec.defstruct(
            name,
            [(m.name, m.type) if m.default is MISSING else (m.name, m.type, m.default) for m in members],
            kw_only=True,
            frozen=True,
            forbid_unknown_fields=not ignore,
            rename=dict(names),
        )
        made.__mainstay_fields__ = MappingProxyType({m.name: m.spec for m in members})
        made.__mainstay_refused__ = refused
        self._loose.extend((made, known, target) for known, target in scope.items())
        return made

    def plain(self, struct: Any) -> Any:
        """Return the struct itself, or its mirror with camelCase names."""
        return struct if self.case == "snake" else self._once("plain", struct, self._mirror)

    def partial(self, struct: Any) -> Any:
        """Return the struct of a merge patch: no field is required, and structs and maps in it are patches too."""
        return self._once("patch", struct, lambda of: self.patch(of, {}))

    def _once(self, form: str, struct: Any, make: Callable[[Any], Any]) -> Any:
        key = (form, struct)
        if key not in self._made:
            self._made[key] = None
            self._depth += 1
            self._made[key] = make(struct)
            self._depth -= 1
            if self._depth == 0:
                self.tie()
        return self._made[key]

    def tie(self) -> None:
        """Let the structs that were made know each other."""
        for made, known, target in self._loose:
            setattr(made, known, self._made[target])
        self._loose.clear()

    def _mirror(self, struct: Any) -> Any:
        shape = self.shapes.of(struct)
        scope: dict[str, tuple[str, Any]] = {}
        members = []
        for info in msgspec.structs.fields(struct):
            attribute = shape.by_name[info.name]
            type_ = self.type_of(attribute.type, scope)
            members.append(Member(name=info.name, type=type_, spec=attribute.spec, default=_default(info)))
        ignore = not struct.__struct_config__.forbid_unknown_fields
        return self.make(struct.__name__, members, wire_names(struct, self.case), scope=scope, ignore=ignore)

    def type_of(self, annotation: Any, scope: dict[str, tuple[str, Any]]) -> Any:
        """Return an annotation with the structs in it replaced by their mirrors, and note these in ``scope``."""
        if self.case == "snake":
            return annotation
        origin, arguments = get_origin(annotation), get_args(annotation)
        if isinstance(annotation, type) and origin is None and issubclass(annotation, msgspec.Struct):
            return self._reference("plain", annotation, scope, self.plain)
        if origin is Annotated:
            return Annotated[(self.type_of(arguments[0], scope), *arguments[1:])]
        if origin in (Union, UnionType):
            return union(*(self.type_of(a, scope) for a in arguments))
        if origin in (list, set, frozenset, tuple, dict):
            return origin[tuple(a if a is ... else self.type_of(a, scope) for a in arguments)]
        return annotation

    def _reference(
        self, form: str, struct: Any, scope: dict[str, tuple[str, Any]], make: Callable[[Any], Any]
    ) -> ForwardRef:
        name = f"wire_{form}_{struct.__name__}_{id(struct)}"
        scope[name] = (form, struct)
        make(struct)
        return ForwardRef(name)

    def patch(self, struct: Any, refused: Mapping[str, tuple[str, str]]) -> Any:
        """Return the struct of a merge patch, without the fields that are refused. ``tie`` must follow."""
        shape = self.shapes.of(struct)
        names = wire_names(struct, self.case)
        scope: dict[str, tuple[str, Any]] = {}
        members = []
        for attribute in shape.attributes:
            if attribute.name in refused:
                continue
            type_ = union(self._patched(attribute, scope), msgspec.UnsetType)
            members.append(Member(name=attribute.name, type=type_, spec=attribute.spec, default=msgspec.UNSET))
        known = {names[name]: why for name, why in refused.items()}
        for relation in shape.relations:
            known.setdefault(names[relation.name], READ_ONLY)
        kept = {m.name: names[m.name] for m in members}
        return self.make(f"{struct.__name__}Patch", members, kept, scope=scope, refused=known)

    def _patched(self, attribute: Attribute, scope: dict[str, tuple[str, Any]]) -> Any:
        type_: Any
        if attribute.kind is FieldKind.STRUCT:
            type_ = self._reference("patch", attribute.base, scope, self.partial)
        elif attribute.kind is FieldKind.MAP:
            below = Any if attribute.items is None else self._patched(attribute.items, scope)
            keys = (get_args(_bare(attribute.type)) or (str,))[0]
            type_ = dict.__class_getitem__((keys, union(below, None)))
        else:
            return self.type_of(attribute.type, scope)
        return union(type_, None) if attribute.optional else type_


def union(*members: Any) -> Any:
    """Return the union of types that are known at start-up only."""
    return Union[members]  # noqa: UP007 - built at run time


def _default(info: msgspec.structs.FieldInfo) -> Any:
    if info.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=info.default_factory)
    return MISSING if info.default is msgspec.NODEFAULT else info.default


def _bare(annotation: Any) -> Any:
    """Take ``Annotated`` and ``| None`` off."""
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation = arguments[0]
        elif origin in (Union, UnionType):
            annotation = next(a for a in arguments if a not in (type(None), msgspec.UnsetType))
        else:
            return annotation


def creatable(shape: Shape, refused: Mapping[str, tuple[str, str]]) -> list[Member]:
    """Return the members of a body that makes a row: what has a default may be absent, and is then UNSET."""
    required = {info.name for info in msgspec.structs.fields(shape.type) if info.required}
    members = []
    for attribute in shape.attributes:
        if attribute.name in refused:
            continue
        if attribute.name in required:
            members.append(Member(name=attribute.name, type=attribute.type, spec=attribute.spec))
            continue
        type_ = union(attribute.type, msgspec.UnsetType)
        members.append(Member(name=attribute.name, type=type_, spec=attribute.spec, default=msgspec.UNSET))
    return members


def names_of(members: Iterable[Member], case: Case) -> dict[str, str]:
    """Return the wire names of members that stand in no struct of a team."""
    return {m.name: wire_name(m.name, case) for m in members}
