"""The store on a PostgreSQL database, shared by the processes of many hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from mainstay.adapters.sql.catalog import Catalog, catalog_of
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.postgres import Options, PostgresEngine
from mainstay.adapters.sql.postgres.texts import Texts
from mainstay.adapters.sql.postgres_transaction import CommandTransaction, QueryTransaction
from mainstay.ports.store import Capabilities, Claims, Store, Table, Transaction

_LEAST = 0.001  # seconds: the driver takes no less


class PostgresStore(Store):
    """Rows in PostgreSQL 13 or newer.

    Commands are serialisable, queries read one snapshot. ``create`` makes the tables that are not there, for tests and
    throw-away databases: others have migrations. Further options are those of ``postgres.Options``. ``clock`` gives
    the monotonic seconds that deadlines are told in.
    """

    capabilities = Capabilities(inline=False, settles=True)

    def __init__(
        self, url: str, *, create: bool = False, clock: Callable[[], float] = monotonic, **options: Any
    ) -> None:
        self.engine = PostgresEngine(Options(url, **options))
        self._create = create
        self._clock = clock
        self._catalog: Catalog = {}
        self._texts = Texts()

    @property
    def claims(self) -> Claims:  # type: ignore[override]  # a new one for each start
        """The claims of this process."""
        return self.engine.claims

    async def start(self, tables: Sequence[Table]) -> None:
        """Connect. Raises ``TableFault`` where an entity cannot be stored, and what ``PostgresEngine.start`` raises."""
        catalog = catalog_of(tables, PostgresDialect())
        await self.engine.start()
        try:
            if self._create:
                await self._create_tables(tables)
        except BaseException:
            await self.engine.stop()
            raise
        self._catalog = catalog

    async def stop(self) -> None:
        self._catalog = {}
        await self.engine.stop()

    def begin(
        self, *, write: bool, single: bool = False, deadline: float | None = None, latest: bool = False
    ) -> Transaction:
        if not self._catalog:
            raise RuntimeError("the store is not open: start() it with its tables first")
        clock = self._clock

        def left() -> float | None:
            return None if deadline is None else max(_LEAST, deadline - clock())

        if write:
            return CommandTransaction(self.engine, self._texts, self._catalog, left=left)
        return QueryTransaction(self.engine, self._texts, self._catalog, single=single, left=left, latest=latest)

    def health(self) -> str | None:
        return self.engine.health()

    def delay(self, *, write: bool) -> float:
        return (self.engine.writers if write else self.engine.readers).delay

    def statistics(self) -> Mapping[str, float]:
        return self.engine.statistics()

    async def _create_tables(self, tables: Sequence[Table]) -> None:
        from mainstay.adapters.sql.schema import create_statements

        statements = list(create_statements(tables, PostgresDialect()))  # before the transaction: it takes its time
        link = await self.engine.writers.take()
        try:
            await link.execute("BEGIN")
            await link.execute("SELECT pg_advisory_xact_lock(7142023)")  # several workers may begin at once
            for statement in statements:
                await link.execute(statement)
            await link.execute("COMMIT")
        finally:
            self.engine.writers.give(link)
        await self.engine.learn()
