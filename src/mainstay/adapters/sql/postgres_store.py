"""The store on a PostgreSQL database, shared by the processes of many hosts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from time import monotonic
from typing import Any

import msgspec

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.postgres import Link, Options, PostgresEngine
from mainstay.adapters.sql.postgres.texts import Texts
from mainstay.adapters.sql.postgres_writing import PostgresWriter, grouped, may_stand_alone
from mainstay.adapters.sql.server_store import ServerStore
from mainstay.adapters.sql.server_writing import Group
from mainstay.adapters.sql.writes import Insert, Write
from mainstay.ports.store import Table


class PostgresStore(ServerStore[Link]):
    """Rows in PostgreSQL 13 or newer.

    Commands are serialisable, queries read one snapshot. ``create`` makes the tables that are not there, for tests and
    throw-away databases: others have migrations. Further options are those of ``postgres.Options``. ``clock`` gives
    the monotonic seconds that deadlines are told in.
    """

    capabilities = msgspec.structs.replace(ServerStore.capabilities, merges=True)
    streams = True
    counted = False

    def __init__(
        self, url: str, *, create: bool = False, clock: Callable[[], float] = monotonic, **options: Any
    ) -> None:
        self._own = PostgresEngine(Options(url, **options), clock)
        super().__init__(self._own, PostgresDialect(), create=create, clock=clock)
        self._texts = Texts()

    def text(self, statement: str) -> str:
        """Return a statement with numbers for its values."""
        return self._texts.numbered(statement)

    def grouped(self, writes: Sequence[Write]) -> Iterator[Group]:
        """Part writes, in their order, into groups of which each can go as one statement."""
        return grouped(writes)

    def stands_alone(self, group: Group) -> bool:
        """Whether a group outside of any transaction undoes itself where it fails."""
        return may_stand_alone(group)

    def shares(self, write: Write) -> bool:
        """Whether rows are added by lists of their columns, else there is a statement for each; or changed by them."""
        if isinstance(write, Insert):
            return write.statements.insert_many is not None
        return write.change.shared

    def writer(self, link: Link, timeout: float | None, begin: str) -> PostgresWriter:
        """Return what carries writes out on a connection."""
        return PostgresWriter(link, self._texts, timeout, begin)

    def ring(self) -> None:
        if self._own.wire is not None:
            self._own.wire.ring()

    def listen(self, heard: Callable[[], None]) -> None:
        if self._own.wire is not None:
            self._own.wire.listen(heard)

    def stream(self, link: Link, text: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Row], None]:
        """Give the rows of a read in batches, by a cursor of the open transaction."""
        return link.stream(text, bindings, batch)

    async def _create_tables(self, tables: Sequence[Table]) -> None:
        from mainstay.adapters.sql.schema import create_statements

        statements = list(create_statements(tables, self.dialect))  # before the transaction: it takes its time
        link = await self.engine.writers.take()
        try:
            await link.execute(self.engine.begin_command())
            await link.execute("SELECT pg_advisory_xact_lock(7142023)")  # several workers may begin at once
            for statement in statements:
                await link.execute(statement)
            await link.execute("COMMIT")
        finally:
            self.engine.writers.give(link)
