"""How a live schema differs from the one that the files make: what somebody changed by hand, or did not finish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from mainstay.adapters.sql.migrations.conversions import has_type
from mainstay.adapters.sql.migrations.state import VERSION_TABLE
from mainstay.adapters.sql.types import ColumnType


class _Outline(NamedTuple):
    """A table: its columns by name, and its indexes and constraints by name, each as what it is on."""

    columns: Mapping[str, Any]
    indexes: Mapping[str, str]
    constraints: Mapping[str, str]


def outlines(connection: sa.Connection) -> dict[str, _Outline]:
    """Return the tables of a schema."""
    inspector = sa.inspect(connection)
    return {name: _outline(inspector, name) for name in inspector.get_table_names() if name != VERSION_TABLE}


def _outline(inspector: sa.Inspector, table: str) -> _Outline:
    constraints = {
        str(each["name"]): f"unique ({', '.join(each['column_names'])})"
        for each in inspector.get_unique_constraints(table)
    }
    usual = "RESTRICT" if inspector.dialect.name == "mysql" else ""  # which it does not tell
    for each in inspector.get_foreign_keys(table):
        on_delete = each.get("options", {}).get("ondelete") or usual
        columns = ", ".join(each["constrained_columns"])
        constraints[str(each["name"])] = f"({columns}) to {each['referred_table']} {on_delete}".rstrip()
    indexes = {
        str(index["name"]): f"({', '.join(str(name) for name in index['column_names'])})"
        for index in inspector.get_indexes(table)
        if index["name"] not in constraints
    }
    return _Outline({each["name"]: each for each in inspector.get_columns(table)}, indexes, constraints)


def differences(files: Mapping[str, _Outline], live: Mapping[str, _Outline], dialect: sa.Dialect) -> Iterator[str]:
    """Yield what a live schema has, or has not, other than the files say."""
    for name in files.keys() - live.keys():
        yield f"the table {name} is missing"
    for name in live.keys() - files.keys():
        yield f"the table {name} is made by no file"
    for name in files.keys() & live.keys():
        yield from _of_columns(name, files[name].columns, live[name].columns, dialect)
        yield from _of_parts(f"index of {name}", files[name].indexes, live[name].indexes)
        yield from _of_parts(f"constraint of {name}", files[name].constraints, live[name].constraints)


def _of_columns(table: str, files: Mapping[str, Any], live: Mapping[str, Any], dialect: sa.Dialect) -> Iterator[str]:
    for name in files.keys() - live.keys():
        yield f"the column {table}.{name} is missing"
    for name in live.keys() - files.keys():
        yield f"the column {table}.{name} is made by no file"
    for name in files.keys() & live.keys():
        wanted, there = files[name]["type"], live[name]["type"]
        if isinstance(wanted, ColumnType) and not has_type(dialect, there, wanted):
            yield f"the column {table}.{name} is of another type"
        if bool(files[name]["nullable"]) != bool(live[name]["nullable"]):
            yield f"the column {table}.{name} may {'' if live[name]['nullable'] else 'not '}be null"


def _of_parts(what: str, files: Mapping[str, str], live: Mapping[str, str]) -> Iterator[str]:
    for name in files.keys() - live.keys():
        yield f"the {what}, {name}, is missing"
    for name in live.keys() - files.keys():
        yield f"the {what}, {name}, is made by no file"
    for name in files.keys() & live.keys():
        if files[name] != live[name]:
            yield f"the {what}, {name}, is on {live[name]}, and not on {files[name]}"
