"""Databases that are made, copied, asked and dropped alike: of a PostgreSQL or MariaDB server, and in files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncmy
import asyncpg
from catalog import mariadb_catalog, postgres_catalog, sqlite_catalog
from depot import fill_mariadb, fill_postgres, fill_sqlite
from own_mariadb import OwnMariadb, own_mariadbs
from own_postgres import OwnServer, own_server

_COUNT = "SELECT count(*) FROM depot_parcel"
_ALL = "SELECT * FROM depot_parcel ORDER BY id"


def _digest(rows: list[dict[str, Any]]) -> str:
    told = json.dumps(rows, sort_keys=True, default=str).encode()
    return f"{len(rows)} rows, {hashlib.blake2b(told, digest_size=8).hexdigest()}"


class Sqlite:
    """Databases that are files."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str) -> str:
        """Make an empty database; return its URL."""
        path = self._folder / f"{name}.sqlite3"
        path.unlink(missing_ok=True)
        return f"sqlite:///{path}"

    def fill(self, url: str, rows: int) -> None:
        """Put rows in."""
        fill_sqlite(self._path(url), rows)

    def copy(self, url: str, name: str) -> str:
        """Make a database that holds what another one holds."""
        made = self.make(name)
        shutil.copyfile(self._path(url), self._path(made))
        return made

    def catalog(self, url: str) -> dict[str, list[Any]]:
        """Return what it says of its schema."""
        return sqlite_catalog(self._path(url))

    def count(self, url: str) -> int:
        """Return how many rows there are."""
        with contextlib.closing(sqlite3.connect(self._path(url))) as connection:
            return int(connection.execute(_COUNT).fetchone()[0])

    def contents(self, url: str) -> str:
        """Return a digest of all rows, whatever the order of their columns."""
        with contextlib.closing(sqlite3.connect(self._path(url))) as connection:
            cursor = connection.execute(_ALL)
            names = [column[0] for column in cursor.description]
            return _digest([dict(zip(names, row, strict=True)) for row in cursor])

    def drop(self, url: str) -> None:
        """Take it away."""
        self._path(url).unlink()

    @staticmethod
    def _path(url: str) -> Path:
        return Path(url.removeprefix("sqlite:///"))


class Postgres:
    """Databases of one server."""

    name = "postgres"

    def __init__(self, server: OwnServer) -> None:
        self._server = server

    def make(self, name: str, template: str = "template0") -> str:
        """Make an empty database; return its URL."""
        self._do(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._server.url.rpartition('/')[0]}/{name}"

    def fill(self, url: str, rows: int) -> None:
        """Put rows in."""
        asyncio.run(fill_postgres(url, rows))

    def copy(self, url: str, name: str) -> str:
        """Make a database that holds what another one holds."""
        return self.make(name, url.rpartition("/")[2])

    def catalog(self, url: str) -> dict[str, list[Any]]:
        """Return what it says of its schema."""
        return asyncio.run(postgres_catalog(url))

    def count(self, url: str) -> int:
        """Return how many rows there are."""
        return int(self._fetch(url, _COUNT)[0][0])

    def contents(self, url: str) -> str:
        """Return a digest of all rows, whatever the order of their columns."""
        return _digest([dict(row) for row in self._fetch(url, _ALL)])

    @staticmethod
    def _fetch(url: str, query: str) -> list[Any]:
        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(url)
            try:
                return [*await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def drop(self, url: str) -> None:
        """Take it away, and end who is still at work there."""
        self._do(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _do(self, *statements: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self._server.url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(execute())


class Mariadb:
    """Databases of one server."""

    name = "mariadb"

    def __init__(self, server: OwnMariadb) -> None:
        self._server = server

    def make(self, name: str) -> str:
        """Make an empty database; return its URL."""
        self._do("", f"CREATE DATABASE {name}")
        return f"{self._server.url}/{name}"

    def fill(self, url: str, rows: int) -> None:
        """Put rows in."""
        asyncio.run(fill_mariadb(self._address(_name(url)), rows))

    def copy(self, url: str, name: str) -> str:
        """Make a database that holds what another one holds, which has tables only."""
        made, source = self.make(name), _name(url)
        tables = [table for (table, *_) in self._do(source, "SHOW TABLES")]
        texts = [self._do(source, f"SHOW CREATE TABLE `{table}`")[0][1] for table in tables]
        rows = [f"INSERT INTO {name}.`{table}` SELECT * FROM {source}.`{table}`" for table in tables]
        self._do(name, "SET foreign_key_checks = 0", *texts, *rows)
        return made

    def catalog(self, url: str) -> dict[str, list[Any]]:
        """Return what it says of its schema."""
        return asyncio.run(mariadb_catalog(self._address(_name(url))))

    def count(self, url: str) -> int:
        """Return how many rows there are."""
        return int(self._do(_name(url), _COUNT)[0][0])

    def contents(self, url: str) -> str:
        """Return a digest of all rows, whatever the order of their columns."""
        names = [name for (name, *_) in self._do(_name(url), "SHOW COLUMNS FROM depot_parcel")]
        return _digest([dict(zip(names, row, strict=True)) for row in self._do(_name(url), _ALL)])

    def drop(self, url: str) -> None:
        """Take it away."""
        self._do("", f"DROP DATABASE {_name(url)}")

    def _address(self, database: str) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self._server.port, "user": "root", "database": database or None}

    def _do(self, database: str, *statements: str) -> list[Any]:
        """Run statements, and return the rows of the last one."""

        async def execute() -> list[Any]:
            connection: Any = await asyncmy.connect(**self._address(database), autocommit=True)
            try:
                cursor = connection.cursor()
                for statement in statements:
                    await cursor.execute(statement)
                return list(await cursor.fetchall() or ())
            finally:
                await connection.ensure_closed()

        return asyncio.run(execute())


def _name(url: str) -> str:
    return url.rpartition("/")[2]


Databases = Sqlite | Postgres | Mariadb


@contextlib.contextmanager
def databases_of(name: str, folder: Path) -> Iterator[Databases]:
    """Have a server, or a folder for files."""
    if name == "sqlite":
        yield Sqlite(folder)
    elif name == "mariadb":
        with own_mariadbs(1) as (server,):
            yield Mariadb(server)
    else:
        with own_server() as postgres:
            yield Postgres(postgres)
