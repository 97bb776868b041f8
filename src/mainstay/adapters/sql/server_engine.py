"""The connections of one process to one database server, or to two: one for commands, another for queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Generic, Protocol

from mainstay.adapters.sql.pooling import L, Pool
from mainstay.adapters.sql.replica import Replica
from mainstay.adapters.sql.session_claims import HeldClaims, Locks, SessionClaims
from mainstay.model.operation import Isolation

STOP_SECONDS = 5.0


class PoolOptions(Protocol):
    """What is set of the connections, whatever the server is."""

    @property
    def replica_url(self) -> str | None:
        """Another server, for queries."""

    @property
    def replica_seconds(self) -> float:
        """How far it may be behind."""

    @property
    def pool(self) -> int:
        """Connections for commands, and as many for queries."""

    @property
    def queue_limit(self) -> int:
        """How many calls may wait for a connection of a kind."""

    @property
    def wait_seconds(self) -> float:
        """How long a call waits for a connection."""

    @property
    def check_seconds(self) -> float:
        """A connection that was not used for so long is tried before it is given out."""


def check_options(options: object, *, counts: tuple[str, ...], seconds: tuple[str, ...]) -> None:
    """Raise ``ValueError`` for counts below 1 and for times that are no time."""
    for name in counts:
        if getattr(options, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got {getattr(options, name)}")
    for name in seconds:
        if getattr(options, name) <= 0:
            raise ValueError(f"{name}: expected more than 0, got {getattr(options, name)}")


class ServerEngine(ABC, Generic[L]):
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    statements_commit: bool = True
    """Whether a statement outside of any transaction is isolated as commands must be."""

    begin_query: str
    """What begins the snapshot of a query."""

    def __init__(self, options: PoolOptions, locks: Locks[L], clock: Callable[[], float] = monotonic) -> None:
        self.limits: PoolOptions = options
        self._clock = clock
        self._locks = locks
        self._make()

    def _make(self) -> None:
        self.writers: Pool[L] = self._pool(self._open_writer)
        self.readers: Pool[L] = self._pool(self._open_reader)
        self.replica: Replica[L] | None = None
        if self.limits.replica_url is not None:
            self.replica = self._replica_of(self._pool(self._open_replica), self.readers, self.limits.replica_seconds)
        self.claims: HeldClaims = self._claims()

    def _claims(self) -> HeldClaims:
        return SessionClaims(self._open_session, self._locks)

    def _pool(self, open_link: Callable[[], Awaitable[L]]) -> Pool[L]:
        options = self.limits
        return Pool(
            open_link,
            size=options.pool,
            queue_limit=options.queue_limit,
            wait_seconds=options.wait_seconds,
            check_seconds=options.check_seconds,
        )

    @abstractmethod
    async def _open_writer(self) -> L:
        """Open a connection for commands."""

    @abstractmethod
    async def _open_reader(self) -> L:
        """Open a connection for queries."""

    @abstractmethod
    async def _open_replica(self) -> L:
        """Open a connection for queries to the replica."""

    @abstractmethod
    def _replica_of(self, pool: Pool[L], primary: Pool[L], seconds: float) -> Replica[L]:
        """Return what looks after the replica."""

    async def _open_session(self) -> L:
        """Open a connection whose session is ours as long as it lasts."""
        return await self._open_writer()

    @abstractmethod
    def begin_command(self, isolation: Isolation = "serializable") -> str:
        """Return what begins the transaction of a command."""

    @abstractmethod
    async def _look(self) -> None:
        """See whether the server is fit, and learn what is needed of it. Raises ``ServerUnfit``."""

    @abstractmethod
    async def learn(self) -> None:
        """Read which columns the constraints are of."""

    async def start(self) -> None:
        """Open the first connection of each kind, and see whether the server is fit.

        Raises ``DatabaseAway`` where there is none, ``ServerUnfit`` where it is not.
        """
        self._make()
        try:
            await self.writers.start()
            await self.readers.start()
            await self._look()
            if self.replica is not None:
                await self.replica.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all connections; what is under way is given some seconds."""
        await self.claims.stop()
        await self.writers.stop(STOP_SECONDS)
        if self.replica is not None:
            await self.replica.stop(STOP_SECONDS)
        await self.readers.stop(STOP_SECONDS)

    def query_pool(self, *, latest: bool) -> Pool[L]:
        """Return where a query reads; ``latest``: all that was committed before, which a replica may not have yet."""
        return self.readers if self.replica is None else self.replica.choose(latest=latest)

    def health(self) -> str | None:
        """Return why the database cannot be used, or None."""
        return self.writers.failure or self.readers.failure

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics."""
        told: dict[str, float] = {}
        pools = {"writer": self.writers, "reader": self.readers}
        if self.replica is not None:
            pools["replica"] = self.replica.pool
            told["replica_behind_seconds"] = self.replica.behind
        for name, pool in pools.items():
            told[f"{name}_queue"] = pool.waiting
            told[f"{name}_connections"] = pool.opened
            told[f"{name}_connections_in_use"] = pool.lent
            told[f"{name}_connections_lost"] = pool.lost
            told[f"{name}_longest_use_seconds"] = pool.longest
        return told
