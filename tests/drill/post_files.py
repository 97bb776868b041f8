"""The databases of the services that drills of events break, and what is read in them from outside."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

PATIENCE = 20.0

AWAY = (sqlite3.OperationalError, asyncpg.PostgresError, OSError)
"""What reading raises while a service has not made its tables."""


class SqliteBooks:
    """A file in the folder of its service."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "post.sqlite3"
        self.url = f"sqlite:///{self._file.name}"

    def ask(self, statement: str) -> list[Any]:
        """Read from it."""
        if not self._file.exists():
            raise FileNotFoundError(self._file)
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None, timeout=PATIENCE)) as file:
            file.execute("PRAGMA query_only = on")
            return file.execute(statement).fetchall()

    def is_writable(self, seconds: float) -> bool:
        """Whether somebody else's transaction that writes ends within so long, so that there can be another."""
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None, timeout=seconds)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
                file.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return False
            return True


class PostgresBooks:
    """A database of its own on a server that is the drill's. It may be asked with a loop running, or without."""

    def __init__(self, server: str, name: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.url = f"{server.rpartition('/')[0]}/{name}"
        self._run(server, f"CREATE DATABASE {name}")

    def ask(self, statement: str) -> list[Any]:
        """Read from it."""
        return self._run(self.url, statement)

    def is_writable(self, seconds: float) -> bool:
        """Whether others may write while somebody stands in a transaction: they may."""
        return True

    def _run(self, url: str, statement: str) -> list[Any]:
        return self._thread.submit(asyncio.run, _fetch(url, statement)).result(2 * PATIENCE)


async def _fetch(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=PATIENCE)
    try:
        return [tuple(row) for row in await connection.fetch(statement, timeout=PATIENCE)]
    finally:
        await connection.close()


Books = SqliteBooks | PostgresBooks
