"""What the driver raises, as what the port promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.errors import InvalidDocument
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteError,
)

from mainstay.adapters.mongo.layout import Layout
from mainstay.model.problem import (
    CommitUnknown,
    DeadlineExceeded,
    NotCommitted,
    Problem,
    SerializationConflict,
    Unavailable,
)
from mainstay.ports.rows import unique_conflict
from mainstay.ports.store import BeyondStore

DUPLICATE = 11000
WRITE_CONFLICT = 112
TOO_LARGE = frozenset({10334, 17280, 17419, 17420, 257})  # a document, a key, a transaction
GONE = frozenset({239, 246})  # the snapshot is too old, or not there yet
TRANSIENT = "TransientTransactionError"
UNKNOWN = "UnknownTransactionCommitResult"


@contextmanager
def told(layout: Layout) -> Iterator[None]:
    """Tell what goes wrong in the block, which works on the rows of a table, in the port's words."""
    try:
        yield
    except (PyMongoError, InvalidDocument) as error:
        problem = problem_of(error, layout)
        if problem is None:
            raise
        raise problem from error


def problem_of(error: Exception, layout: Layout) -> Problem | None:
    """Return the problem that an error of the driver is, or None where it is a fault of ours."""
    if isinstance(error, PyMongoError) and error.has_error_label(TRANSIENT):
        return SerializationConflict("the change met a concurrent one")
    if isinstance(error, DocumentTooLarge | InvalidDocument):
        return BeyondStore(f"a {layout.name} is larger than this store takes, or nested deeper")
    if isinstance(error, ExecutionTimeout):
        return DeadlineExceeded("the database took too long")
    if isinstance(error, ConnectionFailure):
        return Unavailable("the database cannot be reached")
    return _refused(error, layout)


def _refused(error: Exception, layout: Layout) -> Problem | None:
    code, details = _code(error)
    if code == DUPLICATE:
        return unique_conflict(layout.name, layout.field_at(list(details.get("keyPattern") or [""])))
    if code == WRITE_CONFLICT:
        return SerializationConflict("the change met a concurrent one")
    if code in TOO_LARGE:
        return BeyondStore(f"a {layout.name}, or the whole command, is larger than this store takes")
    if code in GONE:
        return Unavailable("the moment that the query read from is gone")
    return None


def _code(error: Exception) -> tuple[int | None, Any]:
    if isinstance(error, BulkWriteError):
        written = (error.details or {}).get("writeErrors") or [{}]
        return written[0].get("code"), written[0]
    if isinstance(error, WriteError | OperationFailure):
        return error.code, error.details or {}
    return None, {}


def commit_problem(error: PyMongoError) -> Problem | None:
    """Return what a commit that failed came to, or None where it is a fault of ours."""
    if error.has_error_label(UNKNOWN) or isinstance(error, ConnectionFailure):
        return CommitUnknown("it is not known whether the change was stored")
    if error.has_error_label(TRANSIENT):
        return SerializationConflict("the change met a concurrent one")
    return NotCommitted("the database refused the commit") if isinstance(error, OperationFailure) else None
