"""PostgreSQL: a type for each kind, so that the driver gives and takes the values themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

from mainstay.adapters.sql import moments, values
from mainstay.adapters.sql.dialect import MAX_DIGITS, Dialect, Reading, Storing, Take, Telling
from mainstay.adapters.sql.dialects.common import (
    DOCUMENTS,
    TYPED,
    check_digits,
    enum_values,
    number_fit,
    summed,
    unnamed,
    unstorable,
)
from mainstay.adapters.sql.operands import Exact, Fit, Off, text
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.documents import document_codec

_TYPES: Mapping[FieldKind, str] = MappingProxyType(
    {
        FieldKind.STRING: "text",
        FieldKind.INTEGER: "bigint",
        FieldKind.FLOAT: "double precision",
        FieldKind.BOOLEAN: "boolean",
        FieldKind.DATETIME: "timestamptz",
        FieldKind.DATE: "date",
        FieldKind.TIME: "time",
        FieldKind.UUID: "uuid",
        FieldKind.BYTES: "bytea",
    }
)
_NATIVE = frozenset(_TYPES)
_FORMS: Mapping[FieldKind, str] = MappingProxyType(
    {
        FieldKind.DECIMAL: "{0}::text AS mainstay_text",
        FieldKind.UUID: "pg_catalog.uuid_send({0})",
        FieldKind.DATETIME: "pg_catalog.timestamptz_send({0})",
    }
)


_ENCODERS: Mapping[FieldKind, Callable[[Any], Any]] = MappingProxyType(
    {FieldKind.DATETIME: values.in_utc, FieldKind.FLOAT: float, FieldKind.TIME: values.without_zone}
)


def _text(op: str) -> Exact:
    """No text holds U+0000: one that has it lies just above what stands before it, and equals none.

    The next one that can be stored is the same with U+0001.
    """

    def exact(value: Any) -> Any:
        found = text(value)
        if found is None or "\x00" not in found:
            return found
        if op in ("eq", "ne"):
            return Off.APART
        before = found.partition("\x00")[0]
        return before if op in ("gt", "le") else f"{before}\x01"

    return exact


_EXACT: Mapping[FieldKind, Callable[[str], Exact]] = {
    **TYPED,
    FieldKind.STRING: _text,
    FieldKind.UUID: lambda _: lambda value: value if isinstance(value, UUID) else None,
}


class PostgresDialect(Dialect):
    """PostgreSQL's ways."""

    name = "postgresql"
    as_read = _NATIVE - {FieldKind.DATETIME, FieldKind.UUID}
    written: ClassVar[Mapping[FieldKind, str]] = dict.fromkeys(
        _NATIVE - {FieldKind.DATETIME, FieldKind.FLOAT, FieldKind.TIME}, ""
    )
    readings: ClassVar[Mapping[FieldKind, Reading]] = {
        FieldKind.DECIMAL: ("Decimal({0})", None),
        FieldKind.UUID: ("convert({0}, UUID)", None),
        FieldKind.DATETIME: ("moment({0})", None),
    }
    columnwise: ClassVar[Mapping[FieldKind, str]] = {
        FieldKind.UUID: "uuids",
        FieldKind.DATETIME: "moments",
        FieldKind.DECIMAL: "decimals",
    }
    functions: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "moment": moments.read,
        "moments": moments.read_many,
        "moments_told": moments.told,
        "uuids": values.to_uuids,
        "decimals": values.to_decimals,
    }
    converted: ClassVar[Mapping[str, type]] = {}
    tells = True
    listable = frozenset(FieldKind)
    few = 0
    nulls_placed = True
    locking = " FOR UPDATE"

    def storing(self, attribute: Attribute) -> Storing:
        kind = attribute.kind
        if kind is FieldKind.DECIMAL:
            check_digits(attribute)
            storage = f"numeric({MAX_DIGITS}, {attribute.places})"
            return Storing(storage, values.exactly(attribute.places), values.same)
        if kind is FieldKind.ENUM:
            storage = "bigint" if enum_values(attribute.base) is int else "text"
            return Storing(storage, values.member_value, values.members_of(attribute.base).__getitem__)
        if kind in DOCUMENTS:
            return Storing("json", *document_codec(attribute))
        if kind not in _TYPES:
            raise unstorable(kind)
        encode = _ENCODERS.get(kind, values.same)
        return Storing(_TYPES[kind], encode, values.same)

    def exact(self, attribute: Attribute) -> Callable[[str], Exact] | None:
        return _EXACT.get(attribute.kind)

    def fit(self, attribute: Attribute) -> Fit:
        return number_fit(attribute)

    def plain(self, value: Any) -> Any:
        return value if isinstance(value, UUID) else unnamed(value)

    def list_of(self, members: Sequence[Any]) -> list[Any]:
        return list(members)

    def listed(self, column: str) -> str:
        return f"{column} = ANY(?)"

    def contains(self, column: str) -> str:
        return f"strpos({column}, ?) > 0"

    def same(self, column: str, other: str, attribute: Attribute) -> str:
        """Documents have no equality of their own: they are kept as the texts that they were written as."""
        cast = "::text" if attribute.kind in DOCUMENTS else ""
        return f"{column}{cast} IS NOT DISTINCT FROM {other}{cast}"

    def compared(self, column: str, attribute: Attribute, places: int) -> str:  # noqa: ARG002 - numbers of all places
        return f"{column}::int" if attribute.kind is FieldKind.BOOLEAN else column

    def ordered(self, column: str, *, descending: bool, optional: bool) -> str:
        direction = "DESC" if descending else "ASC"
        nulls = (" NULLS LAST" if descending else " NULLS FIRST") if optional else ""
        return f"{column} {direction}{nulls}"

    def extreme(self, function: str, column: str, attribute: Attribute) -> str:
        """There is no least UUID, truth value or byte string in PostgreSQL 15: their texts have the same order."""
        if attribute.kind is FieldKind.UUID:
            return f'{function}({column}::text COLLATE "C")::uuid'
        if attribute.kind is FieldKind.BOOLEAN:
            return f"{'bool_and' if function == 'min' else 'bool_or'}({column})"
        if attribute.kind is FieldKind.BYTES:
            return f"decode({function}(encode({column}, 'hex') COLLATE \"C\"), 'hex')"
        return f"{function}({column})"

    def total(self, column: str, attribute: Attribute, decode: Callable[[Any], Any]) -> tuple[list[str], Take]:
        """A sum of any size is a numeric."""
        return [f"sum({column})"], summed(attribute, decode)

    def selected(self, column: str, attribute: Attribute) -> str:
        """Decimal numbers come as texts: the driver makes one of each anyway, and takes three times as long for it.

        UUIDs and points in time come as the bytes that they are on the wire: the driver hands those over as they are,
        and whole columns of them are read at once.
        """
        form = None if attribute.secret else _FORMS.get(attribute.kind)
        return column if form is None else form.format(column)

    def kept(self, column: str, attribute: Attribute) -> str:
        """What JSON has as text comes as text, by another name than what rows are ordered by.

        That takes PostgreSQL 0.08 microseconds a value more than bytes, and us 0.5 less.
        """
        texts = self.told(attribute) is not None and not (attribute.optional or attribute.secret)
        return f"{column}::text AS mainstay_text" if texts else self.selected(column, attribute)

    def told(self, attribute: Attribute) -> Telling | None:
        """A decimal number with more than 6 places may be written with an exponent by Python."""
        if attribute.kind is FieldKind.DATETIME:
            return "moments_told({0})", "Z"
        as_it_is = attribute.kind is FieldKind.UUID or (attribute.kind is FieldKind.DECIMAL and attribute.places <= 6)
        return ("{0}", "") if as_it_is else None

    def insert_many(self, source: str, columns: str, storages: Sequence[str]) -> str | None:
        lists = ", ".join(f"?::{storage.partition('(')[0]}[]" for storage in storages)
        return f"INSERT INTO {source} ({columns}) SELECT * FROM unnest({lists})"  # noqa: S608 - names and types only
