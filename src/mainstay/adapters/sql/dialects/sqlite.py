"""SQLite: four storage classes, so that most values are texts and integers whose order is that of the values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from mainstay.adapters.sql import values
from mainstay.adapters.sql.dialect import Dialect, Reading, Storing, Take
from mainstay.adapters.sql.dialects.common import DOCUMENTS, check_digits, enum_values, unstorable
from mainstay.adapters.sql.operands import Exact, Fit, is_date, is_time, moment, text
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN
from mainstay.ports.documents import document_codec

_PLAIN: Mapping[FieldKind, tuple[str, str]] = MappingProxyType(  # the name of its functions, the storage class
    {
        FieldKind.STRING: ("text", "TEXT"),
        FieldKind.INTEGER: ("integer", "INTEGER"),
        FieldKind.FLOAT: ("float", "REAL"),
        FieldKind.BOOLEAN: ("boolean", "INTEGER"),
        FieldKind.DATETIME: ("datetime", "TEXT"),
        FieldKind.DATE: ("date", "TEXT"),
        FieldKind.TIME: ("time", "TEXT"),
        FieldKind.UUID: ("uuid", "TEXT"),
        FieldKind.BYTES: ("bytes", "BLOB"),
    }
)


def _float(value: Any) -> float | int | None:
    """SQLite compares a float and an integer of 64 bits exactly; other numbers are rounded to the nearest float."""
    if isinstance(value, int) and INT_MIN <= value <= INT_MAX:
        return int(value)
    return values.nearest(value)


_EXACT: Mapping[FieldKind, Exact] = {
    FieldKind.STRING: text,
    FieldKind.FLOAT: _float,
    FieldKind.UUID: lambda value: values.text_of(value) if isinstance(value, UUID) else None,
    FieldKind.DATETIME: lambda value: moment(value, values.moment),
    FieldKind.DATE: lambda value: value.isoformat() if is_date(value) else None,
    FieldKind.TIME: lambda value: values.clock_time(value) if is_time(value) else None,
    FieldKind.BYTES: lambda value: bytes(value) if isinstance(value, bytes | bytearray) else None,
}


_UNNAMED: tuple[tuple[type, Callable[[Any], Any]], ...] = (  # a datetime is a date too
    (UUID, values.text_of),
    (datetime, values.moment),
    (date, date.isoformat),
    (time, values.clock_time),
    (Enum, values.member_value),
)


class SqliteDialect(Dialect):
    """SQLite's ways."""

    name = "sqlite"
    as_read = frozenset({FieldKind.STRING, FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.BYTES})
    written: ClassVar[Mapping[FieldKind, str]] = {**dict.fromkeys(as_read, ""), FieldKind.UUID: "text"}
    readings: ClassVar[Mapping[FieldKind, Reading]] = {
        FieldKind.UUID: ("convert({0}, UUID)", UUID),
        FieldKind.DATETIME: ("moment({0})", datetime),
        FieldKind.DATE: ("day({0})", date),
        FieldKind.TIME: ("clock({0})", time),
        FieldKind.BOOLEAN: ("{0} == 1", None),
        FieldKind.DECIMAL: ("multiply(step_{1}, {0})", None),
    }
    converted: ClassVar[Mapping[str, type]] = {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}
    listable = frozenset(set(FieldKind) - {FieldKind.FLOAT, FieldKind.BYTES})  # JSON carries texts and integers
    few = 8

    def storing(self, attribute: Attribute) -> Storing:
        kind = attribute.kind
        if kind is FieldKind.DECIMAL:
            check_digits(attribute)
            return Storing("INTEGER", values.scale(attribute.places), values.unscale(attribute.places))
        if kind is FieldKind.ENUM:
            storage = "INTEGER" if enum_values(attribute.base) is int else "TEXT"
            return Storing(storage, values.member_value, values.members_of(attribute.base).__getitem__)
        if kind in DOCUMENTS:
            return Storing("TEXT", *document_codec(attribute))
        if kind not in _PLAIN:
            raise unstorable(kind)
        name, storage = _PLAIN[kind]
        return Storing(storage, values.ENCODERS[name], values.DECODERS[name])

    def exact(self, attribute: Attribute) -> Callable[[str], Exact] | None:
        exact = _EXACT.get(attribute.kind)
        return None if exact is None else lambda _: exact

    def fit(self, attribute: Attribute) -> Fit:  # noqa: ARG002 - every number is an integer here
        return int

    def plain(self, value: Any) -> Any:
        if value is None or (isinstance(value, str | int | float | bytes) and not isinstance(value, Enum)):
            return int(value) if isinstance(value, bool) else value
        for kind, encode in _UNNAMED:
            if isinstance(value, kind):
                return encode(value)
        raise values.Unstorable(
            f"a {type(value).__name__} has no stored form by itself: compare it with a column of its type"
        )

    def list_of(self, members: Sequence[Any]) -> str:
        # No stored text has U+0000, and JSON in SQLite ends at one.
        kept = [member for member in members if not (isinstance(member, str) and "\x00" in member)]
        return msgspec.json.encode(kept).decode()

    def listed(self, column: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - the name is looked up and quoted

    def contains(self, column: str) -> str:
        return f"instr({column}, ?) > 0"

    def compared(self, column: str, attribute: Attribute, places: int) -> str:  # noqa: ARG002 - only the step matters
        return f"{column} * {10**-places}" if places < 0 else column

    def ordered(self, column: str, *, descending: bool, optional: bool) -> str:  # noqa: ARG002 - null is first anyway
        return f"{column} {'DESC' if descending else 'ASC'}"

    def extreme(self, function: str, column: str, attribute: Attribute) -> str:  # noqa: ARG002 - as it is stored
        return f"{function}({column})"

    def total(
        self,
        column: str,
        attribute: Attribute,  # noqa: ARG002 - every exact number is an integer here
        decode: Callable[[Any], Any],
    ) -> tuple[list[str], Take]:
        """Sum the two halves by themselves: SQLite's own sum fails where the total needs more than 64 bits."""

        def take(cells: list[Any]) -> Any:
            high, low = cells.pop(), cells.pop()
            return None if high is None else decode((high << 32) + low)

        return [f"sum({column} >> 32)", f"sum({column} & 4294967295)"], take

    def aside(self, expression: str) -> str:
        """Without statistics SQLite takes any equality for a better way to a row than a list of keys.

        A unary plus keeps it from that: the lines of twenty orders would else be looked for among all lines of their
        customer.
        """
        return f"+({expression})"
