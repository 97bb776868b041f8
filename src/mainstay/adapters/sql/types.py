"""Column types that mean the same in every SQL database, for tables, statements and migration files.

A type says what a value *means*; the dialect's column text says how it is stored. SQLite has four storage classes, so
there the meaning stands as a comment behind the storage class (``INTEGER /* decimal(2) */``): SQLite keeps the text of
a table as it was written, so that a schema can be read back with its meaning, by a migration and by a person.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from mainstay.adapters.sql import values
from mainstay.adapters.sql.dialect import MAX_DIGITS
from mainstay.adapters.sql.dialect import Dialect as Ways
from mainstay.adapters.sql.mysql_literals import mysql_literal

_COLUMN = re.compile(
    r'(?:^|[,(])\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>\w+)) [A-Z]+ /\* (?P<kind>[a-z]+)(?:\((?P<places>\d+)\))? \*/'
)


class Stored(UserDefinedType[Any]):
    """A column text of one dialect."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """Return the text behind the column's name."""
        return self.text


class ColumnType(TypeDecorator[Any]):
    """The root of the types. ``sqlite`` is SQLite's storage class; ``marked`` says that it alone does not tell.

    ``postgres`` is the type that PostgreSQL has for it, whose driver takes and gives the values themselves, ``mysql``
    that of MariaDB and MySQL. ``length`` bounds it there, where an index must hold the whole of it.

    ``impl`` is the type of SQLAlchemy whose operators a column has in expressions.
    """

    impl: Any = sa.Text
    cache_ok = True
    kind: ClassVar[str] = ""
    sqlite: ClassVar[str] = "TEXT"
    postgres: ClassVar[str] = 'TEXT COLLATE "C"'
    mysql: ClassVar[str] = "LONGTEXT"
    marked: ClassVar[bool] = True
    length: int | None = None

    @property
    def meaning(self) -> str:
        """The kind and what belongs to it, as it stands in the comment."""
        return self.kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column text. Raises ``TypeError`` for a database without an adapter."""
        if dialect.name == "postgresql":
            return Stored(self.postgres_text)
        if dialect.name == "mysql":
            return Stored(self.mysql_text)
        if dialect.name not in ("sqlite", "default"):
            raise TypeError(f"there is no column text of {self.kind} for {dialect.name}")
        return Stored(f"{self.sqlite} /* {self.meaning} */" if self.marked else self.sqlite)

    @property
    def postgres_text(self) -> str:
        """PostgreSQL's type, with what belongs to it."""
        return self.postgres

    @property
    def mysql_text(self) -> str:
        """The type of MariaDB and MySQL, with what belongs to it."""
        return (
            self.mysql
            if self.length is None
            else f"{'VARBINARY' if self.kind == 'bytes' else 'VARCHAR'}({self.length})"
        )

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        own = self._own(dialect)
        if value is None or (own is None and self._as_it_is(dialect)):
            return value
        return self.encoder()(value) if own is None else own[0](value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        own = self._own(dialect)
        if own is None and self._as_it_is(dialect):
            return values.aware(value) if self.kind == "datetime" else value
        return self.decoder()(value) if own is None else own[1](value)

    def _as_it_is(self, dialect: Dialect) -> bool:
        """Whether the driver takes and gives the values themselves."""
        return dialect.name in ("postgresql", "mysql") and self.kind not in ("enum", "json")

    def _own(self, dialect: Dialect) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
        """Return what turns a value to and fro for a driver that has no type of its own for it."""
        return values.MYSQL.get(self.kind) if dialect.name == "mysql" else None

    def encoder(self) -> Callable[[Any], Any]:
        """Return what turns a value (never None) into what is stored."""
        return values.ENCODERS[self.kind]

    def decoder(self) -> Callable[[Any], Any]:
        """Return what turns what is stored (never None) into a value."""
        return values.DECODERS[self.kind]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Text(ColumnType):
    """A string, compared by code points."""

    kind, marked = "text", False

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length


class Integer(ColumnType):
    """An integer of 64 bits."""

    impl = sa.BigInteger
    kind, sqlite, marked = "integer", "INTEGER", False
    postgres = "BIGINT"
    mysql = "BIGINT"


class Float(ColumnType):
    """A binary floating-point number of 64 bits."""

    impl = sa.Float
    kind, sqlite, marked = "float", "REAL", False
    postgres = "DOUBLE PRECISION"
    mysql = "DOUBLE"


class Bytes(ColumnType):
    """Bytes as they are."""

    impl = sa.LargeBinary
    kind, sqlite, marked = "bytes", "BLOB", False
    postgres = "BYTEA"
    mysql = "LONGBLOB"

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length


class Boolean(ColumnType):
    """True or false: 1 or 0 in SQLite."""

    impl = sa.Boolean
    kind, sqlite = "boolean", "INTEGER"
    postgres = "BOOLEAN"
    mysql = "TINYINT(1)"


class Uuid(ColumnType):
    """A UUID: its 36 characters in SQLite."""

    kind = "uuid"
    postgres = "UUID"
    mysql = "BINARY(16)"


class DateTime(ColumnType):
    """A point in time: UTC, ISO 8601 of fixed width in SQLite, so that the order of the text is that of time."""

    kind = "datetime"
    postgres = "TIMESTAMP WITH TIME ZONE"
    mysql = "DATETIME(6)"


class Date(ColumnType):
    """A calendar date."""

    kind = "date"
    postgres = "DATE"
    mysql = "DATE"


class Time(ColumnType):
    """A time of day."""

    kind = "time"
    postgres = "TIME"
    mysql = "TIME(6)"


class Json(ColumnType):
    """A JSON document. ``encode`` and ``decode`` turn typed values into its text and back."""

    kind = "json"
    postgres = "JSON"

    def __init__(self, encode: Callable[[Any], str] | None = None, decode: Callable[[str], Any] | None = None) -> None:
        super().__init__()
        self._encode, self._decode = encode, decode

    def encoder(self) -> Callable[[Any], Any]:
        return self._encode or super().encoder()

    def decoder(self) -> Callable[[Any], Any]:
        return self._decode or super().decoder()


class Decimal(ColumnType):
    """A decimal number with so many places: in SQLite an integer, scaled by ten to the power of ``places``."""

    impl = sa.Numeric
    kind, sqlite = "decimal", "INTEGER"

    def __init__(self, *, digits: int = 18, places: int) -> None:
        super().__init__()
        self.places = places
        self.digits = digits

    @property
    def meaning(self) -> str:
        return f"decimal({self.places})"

    @property
    def postgres_text(self) -> str:
        return f"NUMERIC({MAX_DIGITS}, {self.places})"  # as on SQLite: how many of them are used is the model's part

    @property
    def mysql_text(self) -> str:
        return f"DECIMAL({MAX_DIGITS}, {self.places})"

    def encoder(self) -> Callable[[Any], Any]:
        return values.scale(self.places)

    def decoder(self) -> Callable[[Any], Any]:
        return values.unscale(self.places)

    def __repr__(self) -> str:
        return f"Decimal(digits={self.digits}, places={self.places})"


class Enum(ColumnType):
    """One of an enumeration's values, as that value: text, or an integer. Which there are is the model's part."""

    kind, marked = "enum", False

    def __init__(self, base: Any, storage: str = "TEXT", length: int | None = None) -> None:
        super().__init__()
        self.base = base
        self.storage = storage
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        plain = Integer() if self.storage == "INTEGER" else Text(self.length)
        return plain.load_dialect_impl(dialect)

    def encoder(self) -> Callable[[Any], Any]:
        return values.member_value

    def decoder(self) -> Callable[[Any], Any]:
        return values.members_of(self.base).__getitem__

    def __repr__(self) -> str:
        return "Integer()" if self.storage == "INTEGER" else "Text()"


def literal(dialect: Dialect, kind: ColumnType, text: str) -> str:
    """Return a value as it stands in a statement. ``text`` is its text in JSON, without quotes."""
    parse: Callable[[str], Any] = _PARSERS.get(kind.kind, values.same)
    if dialect.name == "mysql":
        return mysql_literal(kind.kind, parse(text), long=kind.mysql.startswith("LONG"))
    stored: Any = text if dialect.name == "postgresql" else kind.encoder()(parse(text))
    if isinstance(kind, Enum) and kind.storage == "INTEGER":
        stored = int(text)
    if isinstance(stored, int | float):
        return repr(stored)
    return "'" + str(stored).replace("'", "''") + "'"


class Value(sa.ColumnElement[Any]):
    """A value of a type, written as the database that it is written for stores it."""

    inherit_cache = False

    def __init__(self, kind: ColumnType, text: str) -> None:
        self.type = kind
        self.kind = kind
        self.text = text

    def __repr__(self) -> str:
        return f"types.value(types.{self.kind!r}, {self.text!r})"


def value(kind: ColumnType, text: str) -> Value:
    """Return a value for the default of a column: ``server_default=types.value(types.Decimal(places=2), "9.90")``."""
    return Value(kind, text)


@compiles(Value)
def _written(element: Value, compiler: Any, **_: Any) -> str:
    text = literal(compiler.dialect, element.kind, element.text)
    return text.replace("%", "%%") if compiler.preparer._double_percents else text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "float": float,
    "boolean": lambda text: text == "true",
    "decimal": decimal.Decimal,
    "uuid": UUID,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "json": msgspec.json.decode,
}


def compiler_of(dialect: Ways) -> Dialect:
    """Return SQLAlchemy's dialect, which writes statements as the drivers take them."""
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import asyncpg

        return asyncpg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # of SQLAlchemy
    if dialect.name == "mysql":
        from sqlalchemy.dialects.mysql.base import MySQLDialect

        compiler = MySQLDialect(paramstyle="qmark")
        compiler._backslash_escapes = False  # as the sessions say; SQLAlchemy would ask a connection of its own
        return compiler
    return sqlite.dialect(paramstyle="qmark")


_BY_KIND: dict[str, Callable[[], ColumnType]] = {cls.kind: cls for cls in (Boolean, Uuid, DateTime, Date, Time, Json)}
_BY_STORAGE: dict[str, Callable[[], ColumnType]] = {cls.sqlite: cls for cls in (Text, Integer, Float, Bytes)}


def read_meanings(table_sql: str) -> dict[str, ColumnType]:
    """Return the types of the columns whose meaning stands in the text of a SQLite table."""
    found: dict[str, ColumnType] = {}
    for match in _COLUMN.finditer(table_sql):
        kind, places = match["kind"], match["places"]
        name = match["quoted"] or match["plain"]
        if kind == "decimal" and places is not None:
            found[name] = Decimal(places=int(places))
        elif kind in _BY_KIND:
            found[name] = _BY_KIND[kind]()
    return found


def plain_type(storage: str) -> ColumnType | None:
    """Return the type that a SQLite storage class means by itself, or None where it is none of STRICT tables."""
    make = _BY_STORAGE.get(storage.upper())
    return make() if make is not None else None


def same_storage(one: ColumnType, other: ColumnType) -> bool:
    """Say whether what is stored under one type can be read under the other as it is."""
    return _signature(one) == _signature(other)


def _signature(column: ColumnType) -> tuple[str, str]:
    if isinstance(column, Enum):
        return column.storage, ""
    return column.sqlite, column.meaning if column.marked else ""
