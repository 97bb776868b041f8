"""Where the contenders keep their rows: each in a file of its own, or in a database of its own on one server."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import postgres, processes
from bench.workloads import WORKLOADS

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL"}
RUN = {SQLITE: tuple(one.name for one in WORKLOADS), POSTGRESQL: ("W4", "W5", "W6")}
"""The workloads of a run on each store: those without a store are the same on both, and are run once."""


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
    """Give the store of that name, empty. Raises ``postgres.Missing`` where there is no PostgreSQL."""
    if name == SQLITE:
        for old in work.glob("*.sqlite3*"):
            old.unlink()
        yield Store(SQLITE, lambda contender: SqliteFile(work / f"{contender}.sqlite3"))
        return
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
            where = "a server that was named, on any core" if server.lasting else "on the core of the load"
            yield Store(POSTGRESQL, data, f"PostgreSQL {asyncio.run(postgres.version(server.url))}, {where}", ready)
        finally:
            if server.lasting:
                asyncio.run(postgres.drop(server.url, made))
