"""What can go wrong in the SQLite engine, and how SQLite's own errors are read.

Answers for a caller are Problems.
"""

from __future__ import annotations

import re

import apsw

from mainstay.adapters.sql.faults import ConstraintFailed, ConstraintKind, StatementFailed
from mainstay.model.problem import CommitUnknown, NotCommitted, Unavailable

_KINDS: dict[int, ConstraintKind] = {
    apsw.SQLITE_CONSTRAINT_UNIQUE: "unique",
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: "unique",
    apsw.SQLITE_CONSTRAINT_ROWID: "unique",
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: "foreign_key",
    apsw.SQLITE_CONSTRAINT_NOTNULL: "not_null",
    apsw.SQLITE_CONSTRAINT_CHECK: "check",
    apsw.SQLITE_CONSTRAINT_DATATYPE: "datatype",
}
_INDEX = re.compile(r"index '(?P<name>.*)'", re.DOTALL)
_STORED = re.compile(r"cannot store \w+ value in \w+ column (?P<column>.+)", re.DOTALL)


class TurnTooLong(NotCommitted, code="turn_too_long", hint="Nothing was changed: send the request again."):
    """The change held the database's one writing turn for too long and was rolled back."""


class WriterBusy(Unavailable, code="writer_busy", hint="Nothing was changed: send the request again a little later."):
    """Too many changes are waiting for the database's one writer."""


class WritesStopped(Unavailable, code="writes_stopped", hint="An operator has to look at the database's disk."):
    """The database takes no changes, because an earlier commit failed."""


class ReadersBusy(Unavailable, code="readers_busy", hint="Send the request again a little later."):
    """Every reading connection of the database is in use."""


class SnapshotTooOld(Unavailable, code="snapshot_too_old", hint="Send the request again."):
    """A read was held open so long that the database's log could not be cut."""


class FileMoved(Exception):
    """The file that is open is not the one at its path any more: a commit would be durable in no file that is found."""


class TurnEnded(RuntimeError):
    """A turn was used after its commit or roll-back: a programming error."""


def constraint_failed(error: apsw.ConstraintError) -> ConstraintFailed:
    """Read SQLite's extended code and message into the parts that the layer above needs."""
    kind: ConstraintKind = _KINDS.get(_code(error), "other")
    message = str(error)
    subject = message.partition(": ")[2]
    if kind == "other" and message.startswith("FOREIGN KEY"):
        kind = "foreign_key"  # RESTRICT is carried out by an internal trigger and reports that code
    if kind == "check":
        return ConstraintFailed(kind, "", (), subject)
    if kind == "datatype" and (stored := _STORED.fullmatch(message)):
        subject = stored["column"]
    if index := _INDEX.fullmatch(subject):
        return ConstraintFailed(kind, "", (), index["name"])
    names = [name.partition(".") for name in subject.split(", ") if name]
    return ConstraintFailed(kind, names[0][0] if names else "", tuple(name[2] for name in names), "")


def translate(error: BaseException) -> BaseException:
    """Return what a failed statement raises: this package's own exception for SQLite's, everything else unchanged."""
    if isinstance(error, apsw.ConstraintError):
        return constraint_failed(error)
    if isinstance(error, apsw.Error):
        return StatementFailed(str(error), _code(error))
    return error


def _code(error: apsw.Error) -> int:
    return int(getattr(error, "extendedresult", 0))  # errors that apsw itself raises have none


def rolled_back(cause: BaseException | None = None) -> NotCommitted:
    """For a call whose group SQLite rolled back. The cause is for the log."""
    problem = NotCommitted("The database rolled the change back.", retry_after=1)
    problem.__cause__ = cause
    return problem


def commit_unknown(cause: BaseException) -> CommitUnknown:
    """For a call of which nobody knows whether its commit is durable. The cause is for the log."""
    problem = CommitUnknown()
    problem.__cause__ = cause
    return problem


def stopping() -> WritesStopped:
    """For a call that comes while the engine ends."""
    return WritesStopped("The service is stopping.", retry_after=1)


def stopped() -> WritesStopped:
    """For a call that comes after a commit whose outcome is not known."""
    return WritesStopped(retry_after=30)


def held_elsewhere() -> WriterBusy:
    """For a call that waited for another process in vain."""
    return WriterBusy("Another process holds the database.", retry_after=1)
