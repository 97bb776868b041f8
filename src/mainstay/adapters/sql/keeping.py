"""Tables whose rows are only added: triggers refuse every statement that would change or delete one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy.engine import Dialect

MESSAGE = "its rows are added and read, and stay as they are"
_NAME_LENGTH = 60


class Keeping(NamedTuple):
    """The statements that make the triggers of a table, of which each can be run again, and those that drop them."""

    make: tuple[str, ...]
    drop: tuple[str, ...]


def keeping(dialect: Dialect, table: str) -> Keeping:
    """Return what keeps the rows of a table. Where a database empties tables past triggers (MySQL), it still does."""
    name = f"keep_{table}"
    if len(name) > _NAME_LENGTH:
        name = f"keep_{blake2b(table.encode(), digest_size=16).hexdigest()}"
    quote = dialect.identifier_preparer.quote
    return _KINDS[dialect.name](quote(table), quote(f"{name}_u"), quote(f"{name}_d"))


def _sqlite(table: str, update: str, delete: str) -> Keeping:
    body = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    return Keeping(
        (
            f"CREATE TRIGGER IF NOT EXISTS {update} BEFORE UPDATE ON {table} {body}",
            f"CREATE TRIGGER IF NOT EXISTS {delete} BEFORE DELETE ON {table} {body}",
        ),
        (f"DROP TRIGGER IF EXISTS {update}", f"DROP TRIGGER IF EXISTS {delete}"),
    )


def _postgres(table: str, update: str, delete: str) -> Keeping:  # noqa: ARG001 - one trigger is for both
    drop = f"DROP TRIGGER IF EXISTS {update} ON {table}"
    return Keeping(
        (
            f"CREATE OR REPLACE FUNCTION {update}() RETURNS trigger LANGUAGE plpgsql AS $keep$ "
            f"BEGIN RAISE EXCEPTION USING MESSAGE = '{MESSAGE}', ERRCODE = '55000'; END $keep$",
            drop,
            f"CREATE TRIGGER {update} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {update}()",
        ),
        (drop, f"DROP FUNCTION IF EXISTS {update}()"),
    )


def _mysql(table: str, update: str, delete: str) -> Keeping:
    drop = (f"DROP TRIGGER IF EXISTS {update}", f"DROP TRIGGER IF EXISTS {delete}")
    refuse = f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{MESSAGE}'"
    return Keeping(
        (
            *drop,
            f"CREATE TRIGGER {update} BEFORE UPDATE ON {table} {refuse}",
            f"CREATE TRIGGER {delete} BEFORE DELETE ON {table} {refuse}",
        ),
        drop,
    )


_KINDS: Mapping[str, Callable[[str, str, str], Keeping]] = MappingProxyType(
    {"sqlite": _sqlite, "postgresql": _postgres, "mysql": _mysql}
)
