"""What keeps two versions together while both serve: triggers that write for one what the other writes.

``fill`` gives a column its default where the version before writes null; ``mirror`` keeps two columns, the old name and
the new one of one field, at the same value, whichever of them a version writes. Both are made by a revision that
expands and taken away by the one that contracts.
"""

# ruff: noqa: S608 - names are quoted by the dialect, values are literals of it
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy.engine import Dialect

NAME_LENGTH = 63
"""The characters that a name may have on every database."""


class Bridge(NamedTuple):
    """A trigger, or one for each kind of write: the statements that make it, and those that take it away."""

    name: str
    make: tuple[str, ...]
    drop: tuple[str, ...]


def filling(dialect: Dialect, table: str, column: str, value: str) -> Bridge:
    """Return what writes ``value`` (SQL) where null is written."""
    quote = dialect.identifier_preparer.quote
    name, field = _name("fill", table, column), quote(column)
    change = f"{field} = {value}"
    return _BRIDGES[dialect.name](
        _Parts(
            quote(table),
            quote(name),
            quote(f"{name}_u"),
            before_insert=f"IF NEW.{field} IS NULL THEN SET NEW.{change}; END IF;",
            before_update=f"IF NEW.{field} IS NULL THEN SET NEW.{change}; END IF;",
            after_insert=((f"NEW.{field} IS NULL", change),),
            after_update=((f"NEW.{field} IS NULL", change),),
        )
    )


def mirroring(dialect: Dialect, table: str, old: str, new: str) -> Bridge:
    """Return what copies a written value to the other one of two columns."""
    quote = dialect.identifier_preparer.quote
    name, one, other = _name("mirror", table, new), quote(old), quote(new)
    to_new, to_old = f"{other} = NEW.{one}", f"{one} = NEW.{other}"
    differs = _DIFFERS[dialect.name]
    old_changed, new_changed = differs.format(one), differs.format(other)
    return _BRIDGES[dialect.name](
        _Parts(
            quote(table),
            quote(name),
            quote(f"{name}_u"),
            before_insert=(
                f"IF NEW.{other} IS NULL THEN SET NEW.{to_new}; ELSEIF NEW.{one} IS NULL THEN SET NEW.{to_old}; END IF;"
            ),
            before_update=(
                f"IF {old_changed} THEN SET NEW.{to_new}; ELSEIF {new_changed} THEN SET NEW.{to_old}; END IF;"
            ),
            after_insert=((f"NEW.{other} IS NULL", to_new), (f"NEW.{one} IS NULL", to_old)),
            after_update=((old_changed, to_new), (f"{new_changed} AND NOT ({old_changed})", to_old)),
        )
    )


class _Parts(NamedTuple):
    """A bridge in both forms: what is done to a row before it is written, and to the table after it."""

    table: str
    name: str
    name_of_update: str
    before_insert: str
    before_update: str
    after_insert: Sequence[tuple[str, str]]
    after_update: Sequence[tuple[str, str]]


def _postgres(parts: _Parts) -> Bridge:
    """One function that knows what it was called for."""
    body = (
        f"IF TG_OP = 'INSERT' THEN {_plpgsql(parts.before_insert)} ELSE {_plpgsql(parts.before_update)} END IF; "
        "RETURN NEW;"
    )
    make = (
        f"CREATE OR REPLACE FUNCTION {parts.name}() RETURNS trigger LANGUAGE plpgsql AS $bridge$ BEGIN {body} END "
        "$bridge$",
        f"DROP TRIGGER IF EXISTS {parts.name} ON {parts.table}",
        f"CREATE TRIGGER {parts.name} BEFORE INSERT OR UPDATE ON {parts.table} "
        f"FOR EACH ROW EXECUTE FUNCTION {parts.name}()",
    )
    drop = (f"DROP TRIGGER IF EXISTS {parts.name} ON {parts.table}", f"DROP FUNCTION IF EXISTS {parts.name}()")
    return Bridge(parts.name, make, drop)


def _plpgsql(text: str) -> str:
    """An assignment has no SET there."""
    return text.replace(" SET NEW.", " NEW.").replace("ELSEIF", "ELSIF")


def _mysql(parts: _Parts) -> Bridge:
    drop = (f"DROP TRIGGER IF EXISTS {parts.name}", f"DROP TRIGGER IF EXISTS {parts.name_of_update}")
    make = (
        *drop,
        f"CREATE TRIGGER {parts.name} BEFORE INSERT ON {parts.table} FOR EACH ROW BEGIN {parts.before_insert} END",
        f"CREATE TRIGGER {parts.name_of_update} BEFORE UPDATE ON {parts.table} FOR EACH ROW "
        f"BEGIN {parts.before_update} END",
    )
    return Bridge(parts.name, make, drop)


def _sqlite(parts: _Parts) -> Bridge:
    """Its triggers cannot change the row that is written: they change it once more, when it is there."""
    make: list[str] = []
    drop: list[str] = []
    written = ((parts.name, "INSERT", parts.after_insert), (parts.name_of_update, "UPDATE", parts.after_update))
    for name, kind, changes in written:
        for number, (condition, change) in enumerate(changes):
            one = f'"{name.strip(chr(34))}_{number}"'
            drop.append(f"DROP TRIGGER IF EXISTS {one}")
            make.append(drop[-1])
            make.append(
                f"CREATE TRIGGER {one} AFTER {kind} ON {parts.table} WHEN {condition} "
                f"BEGIN UPDATE {parts.table} SET {change} WHERE rowid = NEW.rowid; END"
            )
    return Bridge(parts.name, tuple(make), tuple(drop))


_BRIDGES: Mapping[str, Callable[[_Parts], Bridge]] = {"postgresql": _postgres, "mysql": _mysql, "sqlite": _sqlite}
_DIFFERS: Mapping[str, str] = {
    "postgresql": "NEW.{0} IS DISTINCT FROM OLD.{0}",
    "mysql": "NOT (NEW.{0} <=> OLD.{0})",
    "sqlite": "NEW.{0} IS NOT OLD.{0}",
}


def _name(kind: str, table: str, column: str) -> str:
    """Return a name that is the same on every run, and short enough to be followed by a few characters."""
    name = f"mainstay_{kind}_{table}_{column}"
    if len(name) <= NAME_LENGTH - 4:
        return name
    return f"mainstay_{kind}_{blake2b(name.encode(), digest_size=8).hexdigest()}"
