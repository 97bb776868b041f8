"""The columns of one entity, bound: how each is compared, written and read. Looked up by name and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.operands import Operand, operands
from mainstay.model.schema import COMPARABLE, Attribute, FieldKind, Shape
from mainstay.model.values import Secret
from mainstay.ports.indexing import words_table


class UnknownField(TypeError):
    """A condition, an order or a change names what is no stored field, or asks of it what it cannot do."""


class BoundColumn(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One column. ``listable``: values of it can be bound as one list."""

    name: str
    sql: str  # the name as it stands in a statement
    attribute: Attribute
    storage: str  # the type of the column
    operands: Mapping[str, Operand]
    encode: Callable[[Any], Any]  # of what is not None
    decode: Callable[[Any], Any]  # of what is not None
    listable: bool
    textual: bool


class Columns:
    """The columns of one entity by field name, in the order of the entity's fields.

    ``prefix`` stands before their names, where a statement has columns of the same name from elsewhere; ``table`` is
    the name of the table.
    """

    def __init__(self, shape: Shape, dialect: Dialect, prefix: str = "", table: str = "") -> None:
        self.shape = shape
        self.words = dialect.quoted(words_table(table))  # where the words of searchable fields are
        self.dialect = dialect
        self.by_name = {a.name: _bind(a, dialect, prefix) for a in shape.attributes}

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


def _bind(attribute: Attribute, dialect: Dialect, prefix: str) -> BoundColumn:
    storage, encode, decode = dialect.storing(attribute)
    if attribute.secret:
        encode, decode = _revealing(encode), _hiding(decode)
    return BoundColumn(
        name=attribute.name,
        sql=prefix + dialect.quoted(attribute.name),
        attribute=attribute,
        storage=storage,
        operands=operands(attribute, dialect.exact(attribute), dialect.fit(attribute)),
        encode=encode,
        decode=decode,
        listable=attribute.kind in dialect.listable,
        textual=attribute.kind is FieldKind.STRING
        or (attribute.kind is FieldKind.ENUM and issubclass(attribute.base, str)),
    )


def _revealing(encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: encode(value.reveal())


def _hiding(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda stored: Secret(decode(stored))
