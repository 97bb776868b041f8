"""One connection to PostgreSQL, with the statements that were prepared on it."""

# ruff: noqa: ASYNC109 - the driver has time-outs of its own, which end the statement on the server too

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from mainstay.adapters.sql import moments
from mainstay.adapters.sql.outages import ConnectionLost, StaleStatement
from mainstay.adapters.sql.postgres.errors import Columns, translate
from mainstay.adapters.sql.postgres.hosts import Hosts
from mainstay.adapters.sql.postgres.options import Options
from mainstay.model.operation import Isolation

Row = Sequence[Any]


class Link:
    """One connection, used by one call at a time.

    ``broken`` says that it must not be used again, ``cut`` that something was given up in the midst of it: the server
    is told so, and may take a moment.
    """

    __slots__ = ("_cache", "_columns", "_names", "_prepared", "_raw", "broken", "cut", "used")

    def __init__(self, raw: asyncpg.Connection, columns: Columns, cache: int) -> None:
        self._raw = raw
        self._columns = columns
        self._cache = cache  # 0: what is prepared may be lost at the end of a transaction
        self._names = map("mainstay_{}".format, count())
        self._prepared: dict[str, PreparedStatement] = {}
        self.broken: bool = False
        self.cut: bool = False
        self.used: float = 0.0

    @property
    def raw(self) -> asyncpg.Connection:
        """The driver's connection."""
        return self._raw

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        return self.broken or self._raw.is_closed()

    async def fetch(self, statement: str, bindings: Sequence[Any], timeout: float | None = None) -> list[Any]:
        """Run a statement by its prepared form and return its rows."""
        rows: list[Any] = (await self._run(statement, bindings, timeout))[0]
        return rows

    async def change(self, statement: str, bindings: Sequence[Any], timeout: float | None = None) -> int:
        """Run a statement that changes rows, and return how many it met."""
        return int((await self._run(statement, bindings, timeout))[1].rpartition(b" ")[2])

    async def _run(self, statement: str, bindings: Sequence[Any], timeout: float | None) -> Any:
        """Run a statement, and return its rows and what the server says that it has done.

        Where the schema was changed meanwhile it is prepared and run once more, unless a transaction failed with it.
        """
        again = True
        while True:
            sent = False
            try:
                prepared = self._prepared.get(statement)
                if prepared is None:
                    prepared = await self._prepare(statement, timeout)
                sent = not self._raw.is_closed()
                # As `prepared.fetch` does, but for three coroutines, which add some per cent to a small read.
                return await self._raw._protocol.bind_execute(prepared._state, bindings, "", 0, True, timeout)
            except BaseException as error:
                told = self._failed(error, statement, sent=sent)
                if not again or not isinstance(told, StaleStatement) or self.in_transaction:
                    raise told from error
                again = False

    async def execute(self, script: str, timeout: float | None = None) -> str:
        """Run a statement that takes no values, and return what the server says that it has done."""
        sent = not self._raw.is_closed()
        try:
            return str(await self._raw.execute(script, timeout=timeout))
        except BaseException as error:
            raise self._failed(error, script, sent=sent) from error

    async def commit(self, timeout: float | None = None) -> bool:
        """Commit, and return whether it was: the server answers ROLLBACK where a statement had failed."""
        return await self.execute("COMMIT", timeout) == "COMMIT"

    async def copy(self, table: str, columns: Sequence[str], rows: Sequence[Row], timeout: float | None = None) -> None:
        """Insert many rows by COPY."""
        try:
            await self._raw.copy_records_to_table(table, records=rows, columns=columns, timeout=timeout)
        except BaseException as error:
            raise self._failed(error, "COPY") from error

    async def stream(self, statement: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Any], None]:
        """Give the rows of a read in batches, by a cursor of the open transaction."""
        try:
            prepared = await self._prepare(statement, None, kept=False)
            cursor = await prepared.cursor(*bindings)
            while rows := await cursor.fetch(batch):
                yield rows
        except (GeneratorExit, StopAsyncIteration):
            raise
        except BaseException as error:
            raise self._failed(error, statement) from error

    async def _prepare(self, statement: str, timeout: float | None, *, kept: bool = True) -> PreparedStatement:
        if self._cache == 0 or not kept:
            return await self._raw.prepare(statement, name="", timeout=timeout)
        # Without a name the driver, whose own cache is off, has it parsed and planned anew each time that it is run.
        prepared = await self._raw.prepare(statement, name=next(self._names), timeout=timeout)
        if len(self._prepared) >= self._cache:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[statement] = prepared
        return prepared

    def _failed(self, error: BaseException, statement: str, *, sent: bool = True) -> BaseException:
        """Return what is raised instead, and note where the connection is of no use after it."""
        told = translate(error, self._columns)
        if isinstance(error, TimeoutError | asyncio.CancelledError | GeneratorExit):
            self.cut = True
        if isinstance(told, ConnectionLost):
            self.broken = True
            told.sent = told.sent and sent
        elif isinstance(told, StaleStatement):
            self._prepared.pop(statement, None)
        return told

    def when_ended(self, told: Callable[[Link], None]) -> None:
        """Be told when the connection has ended, whoever ended it."""
        self._raw.add_termination_listener(lambda _: told(self))

    async def hear(self, channel: str, heard: Callable[[int, int], None]) -> None:
        """Listen to a channel; ``heard`` is told who rang and who this is, by the numbers of their sessions."""
        own = self._raw.get_server_pid()
        try:
            await self._raw.add_listener(channel, lambda _, pid, __, ___: heard(pid, own))
        except BaseException as error:
            raise self._failed(error, "LISTEN") from error

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as far as the server has said."""
        return not self._raw.is_closed() and bool(self._raw.is_in_transaction())

    def terminate(self) -> None:
        """End the connection at once."""
        self.broken = True
        if not self._raw.is_closed():
            self._raw.terminate()

    async def close(self) -> None:
        """End the connection in good order."""
        self._prepared.clear()
        if not self._raw.is_closed():
            try:
                await self._raw.close(timeout=2.0)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._raw.terminate()


def session(options: Options, *, write: bool) -> dict[str, str]:
    """Return what holds for every statement of a call, by the names of the server's settings."""
    path = {} if options.schema is None else {"search_path": '"' + options.schema.replace('"', '""') + '"'}
    return {
        **path,
        "default_transaction_isolation": "serializable" if write else "repeatable read",
        "default_transaction_read_only": "off" if write else "on",
        "synchronous_commit": options.synchronous,
        "statement_timeout": str(int(options.statement_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(int(options.idle_seconds * 1000)),
        "timezone": "UTC",
        "datestyle": "ISO",
    }


def begin(options: Options, isolation: Isolation | None) -> str:
    """Return what begins a command's transaction, or a query's (None): behind a pooler, with all that sessions say."""
    if not options.pooler and isolation in (None, "serializable"):
        return "BEGIN"
    level = (isolation or "repeatable_read").replace("_", " ").upper()
    opening = f"BEGIN ISOLATION LEVEL {level}{' READ ONLY' if isolation is None else ''}"
    if not options.pooler:
        return opening
    settings = session(options, write=isolation is not None)
    path = settings.pop("search_path", None)  # a quoted name, and no text
    kept = "".join(f"; SET LOCAL {k} = '{v}'" for k, v in settings.items() if not k.startswith("default_"))
    return opening + kept + ("" if path is None else f"; SET LOCAL search_path = {path}")


async def connect(options: Options, columns: Columns, hosts: Hosts, *, write: bool, primary: bool) -> Link:
    """Open a connection for commands or for queries; ``primary``: to no standby. Raises what the driver raises."""

    async def open_raw(url: str) -> asyncpg.Connection:
        settings = None if options.pooler else {"application_name": "mainstay", **session(options, write=write)}
        raw = await asyncpg.connect(
            url,
            timeout=options.connect_seconds,
            command_timeout=None,
            statement_cache_size=0,  # the link has its own
            server_settings=settings,
            # After a fail-over an address may lead to what is a standby now. What a pooler leads to, it does not tell.
            target_session_attrs="primary" if primary and not options.pooler else None,
        )
        try:
            async with asyncio.timeout(options.connect_seconds):
                await _learn_moments(raw)
        except BaseException:
            raw.terminate()
            raise
        return raw

    return Link(await hosts.connect(open_raw), columns, 0 if options.pooler else options.statement_cache)


async def _learn_moments(raw: asyncpg.Connection) -> None:
    """Take and give points in time by our own hand: what lies beyond a datetime's years is told as their end."""
    async with raw.transaction():  # behind a pooler what is asked of the server belongs together
        await raw.set_type_codec(
            "timestamptz", schema="pg_catalog", encoder=moments.encode, decoder=moments.decode, format="tuple"
        )
