"""MariaDB and MySQL: a type for most kinds, bytes for UUIDs, and bounded texts where an index must hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

from mainstay.adapters.sql import values
from mainstay.adapters.sql.dialect import MAX_DIGITS, Dialect, Reading, Storing, TableFault, Take
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
from mainstay.adapters.sql.operands import Exact, Fit, text
from mainstay.model.problem import Fault, Invalid
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.documents import document_codec

KEY_ROOM = 3072 - 16
"""The bytes that InnoDB's index has for a field, beside the id."""

BOUND = 255
"""How long an indexed text or byte string may be that declares no ``max_length``."""

_TYPES: Mapping[FieldKind, str] = MappingProxyType(
    {
        FieldKind.STRING: "LONGTEXT",
        FieldKind.INTEGER: "BIGINT",
        FieldKind.FLOAT: "DOUBLE",
        FieldKind.BOOLEAN: "TINYINT(1)",
        FieldKind.DATETIME: "DATETIME(6)",
        FieldKind.DATE: "DATE",
        FieldKind.TIME: "TIME(6)",
        FieldKind.UUID: "BINARY(16)",
        FieldKind.BYTES: "LONGBLOB",
    }
)
_CODERS: Mapping[FieldKind, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = MappingProxyType(
    {
        **{FieldKind(kind): coder for kind, coder in values.MYSQL.items()},
        FieldKind.FLOAT: (float, values.same),
    }
)
_EXACT: Mapping[FieldKind, Callable[[str], Exact]] = {
    **TYPED,
    FieldKind.STRING: lambda _: text,
    FieldKind.UUID: lambda _: lambda value: value.bytes if isinstance(value, UUID) else None,
}


class MysqlDialect(Dialect):
    """The ways of MariaDB and MySQL. ``collation`` is the server's for texts in the order of their code points."""

    name = "mysql"
    as_read = frozenset(
        {FieldKind.STRING, FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DATE, FieldKind.BYTES, FieldKind.DECIMAL}
    )
    written: ClassVar[Mapping[FieldKind, str]] = dict.fromkeys(
        (FieldKind.INTEGER, FieldKind.BOOLEAN, FieldKind.DATE), ""
    )
    readings: ClassVar[Mapping[FieldKind, Reading]] = {
        FieldKind.UUID: ("convert({0}, UUID)", None),
        FieldKind.DATETIME: ("AWARE + ({0} - NAIVE)", None),  # as values.aware, without a call
        FieldKind.BOOLEAN: ("{0} == 1", None),
    }
    columnwise: ClassVar[Mapping[FieldKind, str]] = {FieldKind.UUID: "uuids", FieldKind.DATETIME: "all_aware"}
    functions: ClassVar[Mapping[str, Callable[..., Any]]] = {"uuids": values.to_uuids, "all_aware": values.all_aware}
    converted: ClassVar[Mapping[str, type]] = {}
    listable: ClassVar[frozenset[FieldKind]] = frozenset()
    few = 0
    indexes_if_absent = False
    partial_indexes = False
    locking = " FOR UPDATE"

    def __init__(self, collation: str = "utf8mb4_nopad_bin") -> None:
        self.collation = collation

    def storing(self, attribute: Attribute) -> Storing:
        kind, bound = attribute.kind, self.bound(attribute)
        if kind is FieldKind.DECIMAL:
            check_digits(attribute)
            storage = f"DECIMAL({MAX_DIGITS}, {attribute.places})"
            return Storing(storage, values.exactly(attribute.places), values.same)
        if kind is FieldKind.ENUM:
            storage = "BIGINT" if enum_values(attribute.base) is int else f"VARCHAR({bound})"
            return Storing(storage, values.member_value, values.members_of(attribute.base).__getitem__)
        if kind in DOCUMENTS:
            return Storing("LONGTEXT", *document_codec(attribute))
        if kind not in _TYPES:
            raise unstorable(kind)
        encode, decode = _CODERS.get(kind, (values.same, values.same))
        if bound is None:
            return Storing(_TYPES[kind], encode, decode)
        word = "VARCHAR" if kind is FieldKind.STRING else "VARBINARY"
        return Storing(f"{word}({bound})", _within(attribute.name, bound), decode)

    def bound(self, attribute: Attribute) -> int | None:
        """Return how long a text or byte string may be that an index holds as a whole, or None where none has to."""
        room = KEY_ROOM if attribute.kind is FieldKind.BYTES else KEY_ROOM // 4
        longest = _declared(attribute)
        if attribute.kind is FieldKind.ENUM:
            if enum_values(attribute.base) is int:
                return None
            longest = max(BOUND, *(len(member.value) for member in attribute.base))
        elif attribute.kind not in (FieldKind.STRING, FieldKind.BYTES):
            return None
        elif not attribute.spec.unique:
            return longest if attribute.spec.index and longest is not None and longest <= room else None
        longest = BOUND if longest is None else longest
        if longest > room:
            raise TableFault(f"no index of MariaDB or MySQL holds a length of {longest}: use max_length={room} or less")
        return longest

    def check_key(self, attributes: Sequence[Attribute]) -> None:
        width = {FieldKind.STRING: 4, FieldKind.ENUM: 4, FieldKind.BYTES: 1}
        room = sum((self.bound(each) or 0) * width.get(each.kind, 0) for each in attributes)
        if room > KEY_ROOM:
            names = " and ".join(each.name for each in attributes)
            raise TableFault(f"{names} together are too long for an index of MariaDB or MySQL: give a max_length=")

    def index_options(self, attribute: Attribute) -> Mapping[str, Any]:
        """An index holds the beginning of a text that has no bound."""
        unbounded = attribute.kind in (FieldKind.STRING, FieldKind.BYTES) and self.bound(attribute) is None
        return {"mysql_length": {attribute.name: BOUND}} if unbounded else {}

    @property
    def table_options(self) -> Mapping[str, Any]:
        return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": self.collation}

    def exact(self, attribute: Attribute) -> Callable[[str], Exact] | None:
        return _EXACT.get(attribute.kind)

    def fit(self, attribute: Attribute) -> Fit:
        return number_fit(attribute)

    def plain(self, value: Any) -> Any:
        return value.bytes if isinstance(value, UUID) else unnamed(value)

    def contains(self, column: str) -> str:
        return f"instr({column}, ?) > 0"

    def compared(self, column: str, attribute: Attribute, places: int) -> str:  # noqa: ARG002 - numbers of all places
        return column

    def ordered(self, column: str, *, descending: bool, optional: bool) -> str:  # noqa: ARG002 - null is first anyway
        return f"{column} {'DESC' if descending else 'ASC'}"

    def extreme(self, function: str, column: str, attribute: Attribute) -> str:  # noqa: ARG002 - as it is stored
        return f"{function}({column})"

    def total(self, column: str, attribute: Attribute, decode: Callable[[Any], Any]) -> tuple[list[str], Take]:
        """A sum of whole numbers is a decimal number of any size."""
        return [f"sum({column})"], summed(attribute, decode)

    def quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"


def _declared(attribute: Attribute) -> int | None:
    bounds: Any = (attribute.spec, *attribute.metas)
    return min((each.max_length for each in bounds if each.max_length is not None), default=None)


def _within(name: str, bound: int) -> Callable[[Any], Any]:
    """Refuse what is longer than the column: nothing is cut off. It raises ``Invalid``."""

    def within(value: Any) -> Any:
        if len(value) > bound:
            detail = f"must be at most {bound} long, since it is indexed"
            raise Invalid(faults=[Fault("too_long", detail, pointer=f"/{name}")])
        return value

    return within
