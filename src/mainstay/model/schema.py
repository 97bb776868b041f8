"""The shape of a struct: its fields with resolved types, for stores, contracts, validation and views.

A shape is made once, at start-up, by ``shape_of``; nothing resolves an annotation while a call is served.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec

from mainstay.model.fields import EMPTY, FieldSpec, Relation
from mainstay.model.inputs import many_of, one_of
from mainstay.model.joins import join_of
from mainstay.model.structs import DECIMAL_DIGITS, DECIMAL_PLACES, settle
from mainstay.model.values import Format, Secret


class FieldKind(Enum):
    """What a field's value is, for stores, contracts and messages."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    UUID = "uuid"
    ENUM = "enum"
    BYTES = "bytes"
    STRUCT = "struct"
    LIST = "list"
    MAP = "map"
    ANY = "any"
    MANY = "many"
    ONE = "one"


_KINDS: dict[Any, FieldKind] = {
    str: FieldKind.STRING,
    int: FieldKind.INTEGER,
    float: FieldKind.FLOAT,
    bool: FieldKind.BOOLEAN,
    Decimal: FieldKind.DECIMAL,
    datetime: FieldKind.DATETIME,
    date: FieldKind.DATE,
    time: FieldKind.TIME,
    UUID: FieldKind.UUID,
    bytes: FieldKind.BYTES,
    list: FieldKind.LIST,
    tuple: FieldKind.LIST,
    set: FieldKind.LIST,
    frozenset: FieldKind.LIST,
    dict: FieldKind.MAP,
    Any: FieldKind.ANY,
}
COMPARABLE = frozenset(
    set(FieldKind) - {FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY, FieldKind.MANY, FieldKind.ONE}
)
"""Kinds that can be filtered by; all but the unordered of them can be sorted by."""


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a shape.

    ``type`` is the resolved annotation, ``base`` the class below optional and annotated (``str`` of ``str | None``; the
    enum class, the struct class), ``items`` the attribute of a list's or a map's values.
    """

    name: str
    type: Any
    base: Any
    kind: FieldKind
    optional: bool
    spec: FieldSpec
    metas: tuple[msgspec.Meta, ...] = ()
    format: str | None = None
    secret: bool = False
    items: Attribute | None = None
    relation: Relation | None = None

    @property
    def hidden(self) -> bool:
        """Whether the field never goes into an answer."""
        return self.secret or self.spec.secret or self.spec.write_only

    @property
    def encrypted(self) -> bool:
        """Whether the field is stored encrypted, so that no store can find rows by it."""
        return bool(self.spec.encrypted)

    @property
    def digits(self) -> int:
        """All digits of a Decimal."""
        return self.spec.digits or DECIMAL_DIGITS

    @property
    def places(self) -> int:
        """The digits of a Decimal after the point."""
        if self.spec.places is not None:
            return self.spec.places
        return DECIMAL_PLACES if self.spec.digits is None else 0


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A struct's fields in order, columns and relations apart."""

    type: Any
    name: str
    doc: str
    attributes: tuple[Attribute, ...]
    relations: tuple[Attribute, ...] = ()
    by_name: dict[str, Attribute]

    def __hash__(self) -> int:
        return id(self.type)

    @property
    def types(self) -> dict[str, Any]:
        """The class of each field's values."""
        return {a.name: a.base for a in self.attributes if a.kind in COMPARABLE}


def shape_of(struct: type[msgspec.Struct]) -> Shape:
    """Resolve a struct's annotations and take them apart.

    Raises ``NameError`` or ``TypeError`` where one does not resolve (a name that exists for the type checker only, for
    example); the caller adds the place.
    """
    hints = settle(struct)
    specs: Any = getattr(struct, "__mainstay_fields__", {})
    declared: Any = getattr(struct, "__mainstay_relations__", {})
    attributes: list[Attribute] = []
    relations: list[Attribute] = []
    for name in struct.__struct_fields__:
        annotation = hints[name]
        if name in declared:
            relations.append(_relation(struct, name, annotation, declared[name]))
        elif many_of(annotation) is not None or one_of(annotation) is not None:
            raise TypeError(
                f"{name}: a relation (Many[...], One[...]) needs = related(...), which says how its rows are found"
            )
        else:
            attributes.append(attribute_of(name, annotation, specs.get(name, EMPTY)))
    return Shape(
        type=struct,
        name=struct.__name__,
        doc=(struct.__doc__ or "").strip(),
        attributes=tuple(attributes),
        relations=tuple(relations),
        by_name={a.name: a for a in (*attributes, *relations)},
    )


def _relation(struct: Any, name: str, annotation: Any, declared: Relation) -> Attribute:
    target, many, relation = join_of(struct, name, annotation, declared)
    return Attribute(
        name=name,
        type=annotation,
        base=target,
        kind=FieldKind.MANY if many else FieldKind.ONE,
        optional=True,
        spec=FieldSpec(default=msgspec.UNSET, read_only=True),
        relation=relation,
    )


def attribute_of(name: str, annotation: Any, spec: FieldSpec = EMPTY) -> Attribute:
    """Take one resolved annotation apart. Raises ``TypeError`` where the type is none that the model knows."""
    base, optional, metas, extra = _strip(annotation)
    secret = get_origin(base) is Secret or base is Secret
    if secret:
        base = (get_args(base) or (str,))[0]
    origin = get_origin(base) or base
    kind = _KINDS.get(origin)
    items: Attribute | None = None
    if kind is None and isinstance(origin, type):
        kind = (
            FieldKind.ENUM
            if issubclass(origin, Enum)
            else FieldKind.STRUCT
            if issubclass(origin, msgspec.Struct)
            else None
        )
    if kind is None:
        raise TypeError(f"{name}: {annotation!r} is no type of the model")
    if origin is tuple and get_args(base)[1:] not in ((), (...,)):
        raise TypeError(f"{name}: {annotation!r} has values of several types: name them in a Dto")
    if kind in (FieldKind.LIST, FieldKind.MAP) and get_args(base):
        items = attribute_of(name, get_args(base)[0 if kind is FieldKind.LIST else -1])
    formats = [e.name for e in extra if isinstance(e, Format)]
    return Attribute(
        name=name,
        type=annotation,
        base=origin,
        kind=kind,
        optional=optional,
        spec=spec,
        metas=tuple(metas),
        format=formats[0] if formats else None,
        secret=secret,
        items=items,
    )


def _strip(annotation: Any) -> tuple[Any, bool, list[msgspec.Meta], list[Any]]:
    """Take ``Annotated`` and ``| None`` off an annotation; a union of anything else stays as it is."""
    optional = False
    metas: list[msgspec.Meta] = []
    extra: list[Any] = []
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *marks = get_args(annotation)
            metas.extend(m for m in marks if isinstance(m, msgspec.Meta))
            extra.extend(m for m in marks if not isinstance(m, msgspec.Meta))
        elif origin in (Union, UnionType):
            members = [m for m in get_args(annotation) if m not in (NoneType, msgspec.UnsetType)]
            optional = optional or NoneType in get_args(annotation)
            if len(members) != 1:
                return annotation, optional, metas, extra
            annotation = members[0]
        else:
            return annotation, optional, metas, extra


class Shapes:
    """The shapes of one service, each made once."""

    def __init__(self) -> None:
        self._known: dict[Any, Shape] = {}

    def of(self, struct: type[msgspec.Struct]) -> Shape:
        """Return the shape of a struct."""
        shape = self._known.get(struct)
        if shape is None:
            shape = self._known[struct] = shape_of(struct)
        return shape

    def made(self) -> list[Shape]:
        """Return the shapes that were asked for so far, in the order in which they were."""
        return list(self._known.values())
