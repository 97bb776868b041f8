"""What befalls a store on a server of its own: it is away, its connections are all in use, or one is lost."""

from __future__ import annotations

from mainstay.model.problem import CommitUnknown, DeadlineExceeded, NotCommitted, Unavailable
from mainstay.ports.store import StoreUnusable


class DatabaseAway(Unavailable, code="database_away", hint="Send the request again a little later."):
    """The database cannot be reached."""


class PoolExhausted(Unavailable, code="pool_exhausted", hint="Send the request again a little later."):
    """Every connection to the database is in use."""


class ConnectionLost(Exception):
    """The connection ended under a statement. What became of it is not known, unless it was not even ``sent``."""

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent: bool = sent


class StaleStatement(Exception):
    """A prepared statement no longer fits the schema, which was changed; nothing was done."""


class ServerUnfit(StoreUnusable):
    """A server on which the promises of a store cannot be kept."""


def lost(cause: BaseException, *, sent: bool = True) -> ConnectionLost:
    """For a statement whose connection ended. The cause is for the log."""
    told = ConnectionLost(f"the connection to the database was lost: {type(cause).__name__}", sent=sent)
    told.__cause__ = cause
    return told


def in_doubt(error: BaseException) -> bool:
    """Whether nobody knows what became of the statement that ended so; what the server refused was not done."""
    if isinstance(error, ConnectionLost):
        return error.sent
    return isinstance(error, DeadlineExceeded) and isinstance(error.__cause__, TimeoutError)


def away(cause: BaseException | None) -> DatabaseAway:
    """For a call that finds no database. The cause is for the log."""
    problem = DatabaseAway(retry_after=1)
    problem.__cause__ = cause
    return problem


def rolled_back(cause: BaseException | None) -> NotCommitted:
    """For a command whose connection ended before anything could be committed. The cause is for the log."""
    problem = NotCommitted("the connection to the database was lost before the change was committed", retry_after=1)
    problem.__cause__ = cause
    return problem


def commit_unknown(cause: BaseException | None) -> CommitUnknown:
    """For a command whose connection ended when its commit was under way. The cause is for the log."""
    problem = CommitUnknown("the connection to the database was lost while the change was committed")
    problem.__cause__ = cause
    return problem
