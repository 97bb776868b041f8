"""The settings of one PostgreSQL database, checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mainstay.adapters.sql.postgres.hosts import urls_of
from mainstay.adapters.sql.server_engine import check_options

SynchronousCommit = Literal["on", "local", "remote_write", "remote_apply", "off"]


@dataclass(frozen=True, slots=True, repr=False)  # URLs have passwords in them
class Options:
    """How the connections of one process are opened and shared. Seconds are real time.

    - ``url``: ``postgresql://user:password@host:port/database``, with libpq's parameters (``sslmode`` and the like).
    - ``replica_url``: one other server for queries, a standby of the first.
    - ``replica_seconds``: how far it may be behind; queries go to the primary while it is further.
    - ``direct_url``: the server itself, where ``url`` is of a pooler: claims are then locks of one session, not of as
      many open transactions.
    - ``pool``: connections for commands, and as many for queries.
    - ``queue_limit``: how many calls may wait for a connection of a kind; one more is refused at once.
    - ``wait_seconds``: how long a call waits for a connection, if its deadline is not sooner.
    - ``connect_seconds``: how long a connection may take to open.
    - ``statement_seconds``: the server ends a statement that takes longer, whatever became of who asked for it.
    - ``idle_seconds``: the server ends a transaction in which nothing happens for so long.
    - ``check_seconds``: a connection that was not used for so long is tried before it is given out.
    - ``synchronous``: ``synchronous_commit`` of the sessions: ``on`` survives the loss of power.
    - ``schema``: where the tables are, if it is not where the user's ``search_path`` leads.
    - ``pooler``: a transaction pooler (PgBouncer) stands between: no state may be kept in a session.
    - ``statement_cache``: the prepared statements that a connection keeps.
    - ``current``: gives the URL of now for one of those above, of the same server: passwords may change.
    """

    url: str
    replica_url: str | None = None
    replica_seconds: float = 5.0
    direct_url: str | None = None
    pool: int = 10
    queue_limit: int = 1024
    wait_seconds: float = 5.0
    connect_seconds: float = 5.0
    statement_seconds: float = 60.0
    idle_seconds: float = 30.0
    check_seconds: float = 30.0
    synchronous: SynchronousCommit = "on"
    schema: str | None = None
    pooler: bool = False
    statement_cache: int = 256
    current: Callable[[str], str] = str

    def __post_init__(self) -> None:
        check_options(
            self,
            counts=("pool", "queue_limit", "statement_cache"),
            seconds=(
                "replica_seconds",
                "wait_seconds",
                "connect_seconds",
                "statement_seconds",
                "idle_seconds",
                "check_seconds",
            ),
        )
        if self.replica_url is not None and len([*urls_of(self.replica_url)]) > 1:
            raise ValueError("replica_url names several hosts: name the one whose progress is to be followed")
