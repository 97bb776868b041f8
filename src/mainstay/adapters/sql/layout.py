"""How entities lie in tables: what a store must know of its columns, with no library between.

A worker that serves reads and writes by this alone. What makes and changes schemas builds SQLAlchemy's tables of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from mainstay.adapters.sql import values
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.documents import document_codec
from mainstay.ports.store import Table

MAX_DIGITS = 18
"""The digits that fit an integer of 64 bits whatever they are."""

DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})
"""The kinds that are stored as JSON text."""

_PLAIN: Mapping[FieldKind, tuple[str, str]] = MappingProxyType(  # the name of its functions, SQLite's storage class
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


class TableFault(Exception):
    """An entity that cannot be stored as it is declared: which field, why, and what to do."""


class Storing(NamedTuple):
    """How the values of a field are stored: SQLite's storage class, and what turns a value (never None) to and fro."""

    storage: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def storing_of(attribute: Attribute) -> Storing:
    """Return how a field is stored. Raises ``TableFault`` where it cannot be."""
    kind = attribute.kind
    if kind is FieldKind.DECIMAL:
        if not 0 <= attribute.places <= attribute.digits <= MAX_DIGITS:
            raise TableFault(
                f"digits={attribute.digits}, places={attribute.places} cannot be stored exactly: "
                f"use at most {MAX_DIGITS} digits, and no more places than digits"
            )
        return Storing("INTEGER", values.scale(attribute.places), values.unscale(attribute.places))
    if kind is FieldKind.ENUM:
        decode = values.members_of(attribute.base).__getitem__
        return Storing(enum_storage(attribute.base), values.member_value, decode)
    if kind in DOCUMENTS:
        return Storing("TEXT", *document_codec(attribute))
    if kind not in _PLAIN:
        raise TableFault(f"a {kind.value} cannot be stored in a column")
    name, storage = _PLAIN[kind]
    return Storing(storage, values.ENCODERS[name], values.DECODERS[name])


def enum_storage(enumeration: type[Enum]) -> str:
    """Return the storage class of an enumeration's values. Raises ``TableFault`` where they have none in common."""
    held = {type(member.value) for member in enumeration}
    if held == {int}:
        return "INTEGER"
    if held == {str}:
        return "TEXT"
    raise TableFault(f"the values of {enumeration.__name__} must be all strings or all integers to be stored")


def referenced(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Table:
    """Return the table that a field refers to. Raises ``TableFault`` where there is none, or more than one."""
    target = attribute.spec.references
    if isinstance(target, type):
        found = [t for t in tables if t.shape.type is target]
    else:
        named = [t for t in tables if t.shape.name == target]
        found = [t for t in named if t.module == table.module] or named
    if len(found) == 1:
        return found[0]
    name = getattr(target, "__name__", target)
    if found:
        raise TableFault(f"references {name!r}, which more than one module has: give the class instead of its name")
    raise TableFault(f"references {name!r}, which is no entity of this store")


def references_of(table: Table, tables: Sequence[Table]) -> Iterator[tuple[Attribute, Table]]:
    """Give the fields that refer to rows, each with the table of its target. Raises ``TableFault``."""
    for attribute in table.shape.attributes:
        if attribute.spec.references is not None:
            yield attribute, referenced(table, attribute, tables)


def check_tables(tables: Sequence[Table]) -> None:
    """Raise ``TableFault`` with all that keeps entities from being stored, one a line."""
    faults: list[str] = []
    names: set[str] = set()
    for table in tables:
        if table.name in names:
            faults.append(
                f"{table.shape.name}: another entity's table is named {table.name} too: give one another name"
            )
            continue
        names.add(table.name)
        for attribute in table.shape.attributes:
            try:
                storing_of(attribute)
                if attribute.spec.references is not None:
                    referenced(table, attribute, tables)
            except TableFault as fault:
                faults.append(f"{table.shape.name}.{attribute.name}: {fault}")
    if faults:
        raise TableFault("\n".join(faults))
