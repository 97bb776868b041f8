"""The columns of one entity, bound: how each is compared, written and read. Looked up by name and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.adapters.sql.layout import storing_of
from mainstay.adapters.sql.operands import Operand, operands
from mainstay.model.schema import COMPARABLE, Attribute, FieldKind, Shape
from mainstay.model.values import Secret

_LISTABLE = frozenset(
    {
        FieldKind.STRING,
        FieldKind.INTEGER,
        FieldKind.BOOLEAN,
        FieldKind.DECIMAL,
        FieldKind.UUID,
        FieldKind.ENUM,
        FieldKind.DATETIME,
        FieldKind.DATE,
        FieldKind.TIME,
    }
)


class UnknownField(TypeError):
    """A condition, an order or a change names what is no stored field, or asks of it what it cannot do."""


class BoundColumn(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One column. ``listable``: its stored values are text or integers, so that a JSON array can carry them."""

    name: str
    sql: str  # the name as it stands in a statement
    attribute: Attribute
    storage: str  # SQLite's storage class
    operands: Mapping[str, Operand]
    encode: Callable[[Any], Any]  # of what is not None
    decode: Callable[[Any], Any]  # of what is not None
    listable: bool
    textual: bool


class Columns:
    """The columns of one entity by field name, in the order of the entity's fields."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.by_name = {a.name: _bind(a) for a in shape.attributes}

    def __getitem__(self, name: str) -> BoundColumn:
        column = self.by_name.get(name)
        if column is None:
            raise UnknownField(f"{self.shape.name} has no stored field {name}")
        return column

    def comparable(self, name: str) -> BoundColumn:
        """Return a column whose values have an order. Raises ``UnknownField``."""
        column = self[name]
        if column.attribute.kind not in COMPARABLE:
            raise UnknownField(
                f"{self.shape.name}.{name} is a {column.attribute.kind.value}: it cannot be filtered or sorted by"
            )
        return column


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _bind(attribute: Attribute) -> BoundColumn:
    storage, encode, decode = storing_of(attribute)
    if attribute.secret:
        encode, decode = _revealing(encode), _hiding(decode)
    return BoundColumn(
        name=attribute.name,
        sql=quoted(attribute.name),
        attribute=attribute,
        storage=storage,
        operands=operands(attribute),
        encode=encode,
        decode=decode,
        listable=attribute.kind in _LISTABLE,
        textual=attribute.kind is FieldKind.STRING
        or (attribute.kind is FieldKind.ENUM and issubclass(attribute.base, str)),
    )


def _revealing(encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: encode(value.reveal())


def _hiding(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda stored: Secret(decode(stored))
