"""One connection to MariaDB or MySQL, with the statements that were prepared on it.

Every statement with values is prepared: values never become text, and numbers keep all their bits.
"""

# ruff: noqa: ASYNC109 - the driver has no time-outs of its own: one that is late has its connection ended
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import asyncmy
from asyncmy.constants import CLIENT
from asyncmy.errors import MySQLError

from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.mysql.errors import Columns, translate
from mainstay.adapters.sql.mysql.options import Options, address
from mainstay.adapters.sql.outages import StaleStatement
from mainstay.model.problem import Problem, SerializationConflict

MODES = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_BACKSLASH_ESCAPES,"
    "NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
)
SORTED = 16384
"""The bytes of a text that its place in an order is told by; the server's own default is 1,024."""

_INTACT = (ConstraintFailed, StatementFailed, StaleStatement, SerializationConflict)


class Link:
    """One connection, used by one call at a time. ``broken`` says that it must not be used again.

    ``keeps_snapshots``: a repeatable read refuses to write over what was committed since its snapshot.
    """

    __slots__ = (
        "_abandon",
        "_cache",
        "_columns",
        "_late",
        "_prepared",
        "_raw",
        "broken",
        "cut",
        "keeps_snapshots",
        "used",
    )

    def __init__(self, raw: Any, columns: Columns, cache: int, abandon: Callable[[int], None]) -> None:
        self._raw = raw
        self._abandon = abandon
        self._columns = columns
        self._cache = cache
        self._prepared: dict[str, Any] = {}
        self._late = False
        self.keeps_snapshots: bool = False
        self.broken: bool = False
        self.cut: bool = False  # what is given up ends with its connection
        self.used: float = 0.0

    @property
    def mariadb(self) -> bool:
        """Whether the server is MariaDB."""
        return "MariaDB" in self._raw.get_server_info()

    @property
    def collation(self) -> str:
        """The server's collation in the order of code points, in which trailing spaces count."""
        return "utf8mb4_nopad_bin" if self.mariadb else "utf8mb4_0900_bin"

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        return self.broken or not self._raw.connected

    async def fetch(
        self, statement: str, bindings: Sequence[Any], timeout: float | None = None, *, kept: bool = True
    ) -> list[Any]:
        """Run a statement by its prepared form and return its rows; ``kept``: it will be asked for again."""
        return list((await self._run(statement, bindings, timeout, kept)).rows or ())

    async def change(
        self, statement: str, bindings: Sequence[Any], timeout: float | None = None, *, kept: bool = True
    ) -> int:
        """Run a statement that changes rows, and return how many it met: those that it left as they were, too."""
        return int((await self._run(statement, bindings, timeout, kept)).affected_rows)

    async def _run(self, statement: str, bindings: Sequence[Any], timeout: float | None, kept: bool) -> Any:
        timer = self._bound(timeout)
        try:
            prepared = self._prepared.get(statement) or await self._prepare(statement, kept)
            found = await prepared.execute(bindings)
            if not kept:
                await prepared.close()
            return found
        except BaseException as error:
            raise self._failed(error, statement) from error
        finally:
            if timer is not None:
                timer.cancel()

    def _bound(self, seconds: float | None) -> asyncio.TimerHandle | None:
        """End the connection after a time; ``asyncio.timeout`` wants a task, which calls may not have."""
        return None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._late = True
        self._abandon(self._raw.thread_id())
        self.terminate()

    async def _prepare(self, statement: str, kept: bool) -> Any:
        prepared = await self._raw.prepare(statement)
        if kept:
            if len(self._prepared) >= self._cache:
                await self._prepared.pop(next(iter(self._prepared))).close()
            self._prepared[statement] = prepared
        return prepared

    async def execute(self, script: str, timeout: float | None = None) -> None:
        """Run a statement that takes no values, or several; they hold nothing but our own words."""
        timer = self._bound(timeout)
        try:
            cursor = self._raw.cursor()
            await cursor.execute(script)
            while await cursor.nextset():  # of a script of several
                pass
        except BaseException as error:
            raise self._failed(error, script) from error
        finally:
            if timer is not None:
                timer.cancel()

    async def commit(self, timeout: float | None = None) -> bool:
        """Commit; it fails, or it has happened."""
        await self.execute("COMMIT", timeout)
        return True

    def _failed(self, error: BaseException, statement: str) -> BaseException:
        """Return what is raised instead. Unless the server has answered, the connection is of no use after it."""
        told = translate(TimeoutError() if self._late else error, self._columns)
        if isinstance(error, asyncio.CancelledError):
            self._abandon(self._raw.thread_id())
        if isinstance(told, StaleStatement):
            self._prepared.pop(statement, None)
        if not isinstance(told, _INTACT) and not (isinstance(told, Problem) and isinstance(error, MySQLError)):
            self.terminate()
        return told

    def when_ended(self, told: Callable[[Link], None]) -> None:
        """Be told when the connection has ended, whoever ended it."""

        def ended(_: object) -> None:
            self.broken = True
            told(self)

        self._raw._proto._closed_waiter.add_done_callback(ended)  # the driver tells nobody

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, by what the server has told last."""
        return bool(self._raw.get_transaction_status())

    def terminate(self) -> None:
        """End the connection at once."""
        self.broken = True
        self._raw.close()

    async def close(self) -> None:
        """End the connection in good order."""
        self._prepared.clear()
        with suppress(OSError, TimeoutError, MySQLError):
            async with asyncio.timeout(2.0):
                await self._raw.ensure_closed()
        self.terminate()


def session(link: Link, options: Options, *, write: bool) -> Iterator[str]:
    """Give the statements that say what holds for every statement of a connection."""
    bounds = (
        f"max_statement_time={options.statement_seconds}, idle_transaction_timeout={max(1, int(options.idle_seconds))}"
        if link.mariadb
        else f"max_execution_time={int(options.statement_seconds * 1000)}"
    )
    yield (
        f"SET SESSION sql_mode='{MODES}', time_zone='+00:00', lc_messages='en_US',"
        f" collation_connection='{link.collation}', max_sort_length={SORTED},"
        f" innodb_lock_wait_timeout={options.lock_seconds}, autocommit=1, {bounds}"
    )
    yield (
        "SET SESSION TRANSACTION ISOLATION LEVEL "
        + ("SERIALIZABLE, READ WRITE" if write else "REPEATABLE READ, READ ONLY")
    )


async def connect(options: Options, url: str, columns: Columns, abandon: Callable[[int], None], *, write: bool) -> Link:
    """Open a connection. ``abandon`` is told its number when a statement is left to the server.

    Raises what the driver raises.
    """
    raw = await asyncmy.connect(
        **address(options.current(url)),
        charset="utf8mb4",
        client_flag=CLIENT.FOUND_ROWS,
        connect_timeout=options.connect_seconds,
        autocommit=None,  # the session says so, with all else
        program_name="mainstay",
    )
    link = Link(raw, columns, options.statement_cache, abandon)
    for statement in session(link, options, write=write):
        await link.execute(statement, options.connect_seconds)
    if write and await link.fetch("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'", (), kept=False):
        await link.execute("SET SESSION innodb_snapshot_isolation=1", options.connect_seconds)
        link.keeps_snapshots = True
    return link


async def kill(url: str, number: int, seconds: float) -> None:
    """End a connection on the server's side, with the statement that it runs: closed by us, it would run on.

    Raises what the driver raises.
    """
    raw: Any = await asyncmy.connect(**address(url), connect_timeout=seconds)
    try:
        await raw.query(f"KILL {number:d}")
    finally:
        raw.close()
