"""The store on one SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from mainstay.adapters.sql.catalog import Catalog, catalog_of
from mainstay.adapters.sql.dialects.sqlite import SqliteDialect
from mainstay.adapters.sql.sqlite import SqliteEngine, Turn
from mainstay.adapters.sql.sqlite_transaction import CommandTransaction, QueryTransaction
from mainstay.model.operation import Isolation
from mainstay.ports.store import Capabilities, Claims, Store, Table, Transaction


class SqliteClaims(Claims):
    """Claims by locks on a file beside the database: freed when their holder dies."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def take(self, key: bytes) -> bool:
        return self._engine.claims.try_claim(key)

    async def drop(self, key: bytes) -> None:
        with suppress(KeyError):  # it was not held
            self._engine.claims.release(key)


class SqliteStore(Store):
    """Rows in one SQLite file, shared by the processes of one host.

    ``create`` makes the tables that are not there, for tests and throw-away files: others have migrations. Further
    options are those of ``SqliteEngine``. ``clock`` gives the monotonic seconds that deadlines are told in.
    """

    capabilities = Capabilities(inline=True, merges=True, words="beside")

    def __init__(
        self, path: Path, *, create: bool = False, clock: Callable[[], float] = monotonic, **options: Any
    ) -> None:
        self.engine = SqliteEngine(path, **options)
        self.claims = SqliteClaims(self.engine)
        self._create = create
        self._clock = clock
        self._catalog: Catalog = {}

    async def start(self, tables: Sequence[Table]) -> None:
        """Open the file for these tables.

        Raises ``TableFault`` where an entity cannot be stored, and what ``SqliteEngine.start`` raises.
        """
        self._catalog = catalog_of(tables, SqliteDialect())
        await self.engine.start()
        if self._create:
            await self._create_tables(tables)

    async def stop(self) -> None:
        self._catalog = {}
        await self.engine.stop()

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,
        deadline: float | None = None,
        latest: bool = False,  # noqa: ARG002 - there is no replica
        isolation: Isolation = "serializable",  # noqa: ARG002 - turns never interleave
    ) -> Transaction:
        if not self._catalog:
            raise RuntimeError("the store is not open: start() it with its tables first")
        if not write:
            return QueryTransaction(self.engine, self._catalog, single)
        clock = self._clock
        return CommandTransaction(self.engine, self._catalog, None if deadline is None else lambda: deadline - clock())

    def health(self) -> str | None:
        return self.engine.health()

    def delay(self, *, write: bool) -> float:
        return self.engine.delay if write else self.engine.read_delay

    def statistics(self) -> Mapping[str, float]:
        counted = self.engine.statistics
        figures: dict[str, float] = {name: getattr(counted, name) for name in counted.__slots__}
        queues = {"writer_queue": self.engine.queue, "reader_queue": self.engine.reader_queue}
        return {**figures, **queues, "memory_bytes": self.engine.memory}

    async def _create_tables(self, tables: Sequence[Table]) -> None:
        from mainstay.adapters.sql.schema import create_statements

        given = self.engine.turn()
        turn = given if isinstance(given, Turn) else await given
        try:
            for statement in create_statements(tables, SqliteDialect()):
                turn.execute(statement)
        except BaseException:
            turn.abandon()
            raise
        await turn.commit()
