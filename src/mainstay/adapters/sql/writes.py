"""Writes of one transaction, queued: encoded and bound when they came, carried out in order at the next flush."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.statements import Statements
from mainstay.model.problem import NotFound, Problem, StaleVersion
from mainstay.ports.rows import Change


class Insert(NamedTuple):
    """Encoded rows to be inserted."""

    statements: Statements
    rows: list[Row]


class Alteration(NamedTuple):
    """A change, with its statement. It was bound when it was queued: what the caller changes since does not matter."""

    statements: Statements
    change: Change
    statement: str
    bindings: Sequence[Any]


class Steps(NamedTuple):
    """Changes of one row each, by its id and its version, alike in the fields that they change: all are met or none.

    A row has the values of the fields, the id and the version.
    """

    statements: Statements
    names: tuple[str, ...]
    rows: list[Sequence[Any]]


Write = Insert | Alteration


def alteration(statements: Statements, change: Change, *, bump: bool) -> Alteration:
    """Return a change with its statement. With ``bump`` versions go up by one, where the change does not say."""
    if change.changes is None:
        bound = statements.delete(change.where, change.version)
    else:
        bound = statements.update(change.where, change.changes, change.version, bump=bump)
    return Alteration(statements, change, *bound)


def queue_insert(queue: list[Write], statements: Statements, rows: Sequence[Any]) -> None:
    """Add rows to be inserted, to those before them where they are of the same entity."""
    if not rows:
        return
    encoded = list(map(statements.codec.encode, rows))
    last = queue[-1] if queue else None
    if isinstance(last, Insert) and last.statements is statements:
        last.rows.extend(encoded)
    else:
        queue.append(Insert(statements, encoded))


def ended() -> RuntimeError:
    """Return what is raised of a transaction that is used after its end."""
    return RuntimeError("this transaction has ended: begin another one")


def reads_only(statements: Statements) -> TypeError:
    """Return what is raised of a write in a transaction that only reads."""
    return TypeError(f"{statements.name}: this transaction was begun for reading: make the use case a command")


def missed(write: Alteration, *, there: bool) -> Problem:
    """Return the problem of a change that met no row, or not as many as it must; ``there``: under another version."""
    if there:
        return StaleVersion(f"the {write.statements.name} was changed since it was read")
    return NotFound(f"there is no such {write.statements.name}")
