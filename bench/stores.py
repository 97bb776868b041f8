"""Where the contenders keep their rows: each in a file of its own, or in a database of its own on one server."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import mariadb, postgres, processes
from bench.workloads import WORKLOADS

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
MARIADB = "mariadb"
TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL", MARIADB: "MariaDB"}
_WITH_ROWS = ("W4", "W5", "W6")
RUN = {SQLITE: tuple(one.name for one in WORKLOADS), POSTGRESQL: _WITH_ROWS, MARIADB: _WITH_ROWS}
"""The workloads of a run on each store: those without a store are the same on all, and are run once."""


class Unfit(Exception):
    """A store does not keep what was written as it must; the message says why."""


class Data(ABC):
    """The rows of one contender. ``told`` is what a peer is told of them, ``url`` what ours is.

    ``here`` says whether the processes that write them are on this machine.
    """

    def __init__(self, told: str, url: str) -> None:
        self.told = told
        self.url = url
        self.here = True

    @abstractmethod
    def counts(self, *tables: str) -> list[int]:
        """Return how many rows tables have. Raises ``Unfit``."""

    def pids(self) -> list[int]:
        """Return the processes of the store that are none of the contender's."""
        return []

    def cpu(self) -> float:
        """Return the processor seconds that those used so far."""
        return processes.seconds(self.pids())


class SqliteFile(Data):
    """A file."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), f"sqlite:///{path}")

    def counts(self, *tables: str) -> list[int]:
        with contextlib.closing(sqlite3.connect(f"file:{self.told}?mode=ro", uri=True)) as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal":
                raise Unfit(f"the journal is {mode}, not wal")
            return [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables]


class PostgresDatabase(Data):
    """A database on a server that all share."""

    def __init__(self, server: postgres.Cluster, name: str) -> None:
        url = server.url_of(name)
        super().__init__(url, url)
        self._server = server
        self.here = server.pid is not None

    def counts(self, *tables: str) -> list[int]:
        fields = [f"(SELECT count(*) FROM {name})" for name in tables]
        fields += [f"current_setting('{name}')" for name in ("fsync", "synchronous_commit")]
        *numbers, flushed, waited = asyncio.run(postgres.row(self.told, f"SELECT {', '.join(fields)}"))
        if flushed != "on" or waited != "on":
            raise Unfit(f"fsync is {flushed}, synchronous_commit is {waited}")
        return [int(one) for one in numbers]

    def pids(self) -> list[int]:
        return self._server.pids()


class MariaDatabase(Data):
    """A database on a MariaDB server that all share."""

    def __init__(self, server: postgres.Cluster, name: str) -> None:
        url = server.url_of(name)
        super().__init__(url, url)
        self._server = server
        self.here = server.pid is not None

    def counts(self, *tables: str) -> list[int]:
        fields = [f"(SELECT count(*) FROM {name})" for name in tables]
        fields += ["@@innodb_flush_log_at_trx_commit", "@@innodb_doublewrite"]
        *numbers, flushed, doubled = asyncio.run(mariadb.row(self.told, f"SELECT {', '.join(fields)}"))
        if flushed != 1 or not doubled:
            raise Unfit(f"innodb_flush_log_at_trx_commit is {flushed}, innodb_doublewrite is {doubled}")
        return [int(one) for one in numbers]

    def pids(self) -> list[int]:
        return self._server.pids()


class Store:
    """One kind of store for all contenders of a run. ``about`` is what a reader must know of it."""

    def __init__(
        self, name: str, data: Callable[[str], Data], about: str = "", ready: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.data = data
        self.about = about
        self.ready = ready or (lambda: None)


@contextlib.contextmanager
def opened(name: str, work: Path) -> Iterator[Store]:
    """Give the store of that name, empty. Raises ``postgres.Missing`` where its server is not to be had."""
    if name == SQLITE:
        for old in work.glob("*.sqlite3*"):
            old.unlink()
        yield Store(SQLITE, lambda contender: SqliteFile(work / f"{contender}.sqlite3"))
        return
    kept = _postgresql if name == POSTGRESQL else _mariadb
    with kept() as store:
        yield store


def _where(server: postgres.Cluster) -> str:
    return "a server that was named, on any core" if server.lasting else "on the core of the load"


@contextlib.contextmanager
def _postgresql() -> Iterator[Store]:
    with postgres.cluster() as server:
        made: list[str] = []

        def data(contender: str) -> Data:
            database = f"bench_{contender.replace('-', '_')}"
            asyncio.run(postgres.create(server.url, database))
            made.append(database)
            return PostgresDatabase(server, database)

        def ready() -> None:
            for database in made:
                asyncio.run(postgres.analyze(server.url_of(database)))

        try:
            about = f"PostgreSQL {asyncio.run(postgres.version(server.url))}, {_where(server)}"
            yield Store(POSTGRESQL, data, about, ready)
        finally:
            if server.lasting:
                asyncio.run(postgres.drop(server.url, made))


@contextlib.contextmanager
def _mariadb() -> Iterator[Store]:
    with mariadb.cluster() as server:
        made: list[str] = []

        def data(contender: str) -> Data:
            database = f"{mariadb.PREFIX}{contender.replace('-', '_')}"
            asyncio.run(mariadb.create(server.url, database))
            made.append(database)
            return MariaDatabase(server, database)

        def ready() -> None:
            for database in made:
                url = server.url_of(database)
                asyncio.run(mariadb.analyze(url, *asyncio.run(mariadb.tables(url))))

        try:
            yield Store(MARIADB, data, f"MariaDB {asyncio.run(mariadb.version(server.url))}, {_where(server)}", ready)
        finally:
            if server.lasting:
                asyncio.run(mariadb.drop(server.url, made))
