"""A store on a database server that the processes of many hosts share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from time import monotonic

from mainstay.adapters.sql.catalog import catalog_of
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.pooling import L
from mainstay.adapters.sql.server import Server
from mainstay.adapters.sql.server_engine import ServerEngine
from mainstay.adapters.sql.server_transaction import CommandTransaction, QueryTransaction
from mainstay.adapters.sql.server_writing import Group
from mainstay.adapters.sql.sharing import LANES, LANES_OF_STEPS, Sharing
from mainstay.adapters.sql.writes import Insert, Write
from mainstay.model.operation import Isolation
from mainstay.ports.store import Capabilities, Claims, Store, Table, Transaction

_LEAST = 0.001  # seconds: asyncpg takes no less


class ServerStore(Store, Server[L]):
    """The root of such stores. ``create`` makes the tables that are not there, for tests and throw-away databases.

    ``clock`` gives the monotonic seconds that deadlines are told in.
    """

    capabilities = Capabilities(inline=False, settles=True, words="beside")
    counted: bool
    """Whether a statement differs by the number of rows that it adds."""

    def __init__(
        self, engine: ServerEngine[L], dialect: Dialect, *, create: bool, clock: Callable[[], float] = monotonic
    ) -> None:
        self.engine = engine
        self.dialect = dialect
        self.catalog = {}
        self._create = create
        self._clock = clock
        self._sharing: Sharing[L] = self._make_sharing(LANES)
        self._stepping: Sharing[L] = self._make_sharing(LANES_OF_STEPS)

    def _make_sharing(self, lanes: int) -> Sharing[L]:
        return Sharing(
            lambda: self.engine.writers,
            lambda link, seconds: self.writer(link, seconds, self.engine.begin_command()),
            self.shares,
            queue_limit=self.engine.limits.queue_limit,
            wait_seconds=self.engine.limits.wait_seconds,
            doubling=self.counted,
            lanes=lanes,
        )

    @abstractmethod
    def shares(self, write: Write) -> bool:
        """Whether a write may go with those of other commands, as one statement."""

    async def commit_alone(self, group: Group, alone: Callable[[], Awaitable[None]], patience: float | None) -> None:
        """Commit a group that is a command by itself, by ``alone`` or together with others."""
        adds_only = all(isinstance(one, Insert) for one in group)
        await (self._sharing if adds_only else self._stepping).commit(group, alone, patience)

    @property
    def claims(self) -> Claims:  # type: ignore[override]  # a new one for each start
        """The claims of this process."""
        return self.engine.claims

    async def start(self, tables: Sequence[Table]) -> None:
        """Connect. Raises ``TableFault`` where an entity cannot be stored, and what the engine's ``start`` raises."""
        catalog = catalog_of(tables, self.dialect)
        await self.engine.start()
        try:
            if self._create:
                await self._create_tables(tables)
                await self.engine.learn()
                if self.engine.replica is not None:
                    self.engine.replica.forget()
        except BaseException:
            await self.engine.stop()
            raise
        self.catalog = catalog

    async def stop(self) -> None:
        self.catalog = {}
        await self.engine.stop()

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,
        deadline: float | None = None,
        latest: bool = False,
        isolation: Isolation = "serializable",
    ) -> Transaction:
        if not self.catalog:
            raise RuntimeError("the store is not open: start() it with its tables first")
        clock = self._clock

        def left() -> float | None:
            return None if deadline is None else max(_LEAST, deadline - clock())

        if write:
            return CommandTransaction(self, left=left, isolation=isolation)
        return QueryTransaction(self, single=single, left=left, latest=latest)

    def health(self) -> str | None:
        return self.engine.health()

    def current(self) -> float:
        return inf if self.engine.replica is None else self.engine.replica.current

    def degraded(self) -> str | None:
        return None if self.engine.replica is None else self.engine.replica.degraded()

    def delay(self, *, write: bool) -> float:
        return (
            max(self.engine.writers.delay, self._sharing.delay, self._stepping.delay)
            if write
            else self.engine.readers.delay
        )

    def statistics(self) -> Mapping[str, float]:
        return {**self.engine.statistics(), "commits_shared": self._sharing.shared + self._stepping.shared}

    @abstractmethod
    async def _create_tables(self, tables: Sequence[Table]) -> None:
        """Make the tables and indexes that are not there; several workers may begin at once."""
