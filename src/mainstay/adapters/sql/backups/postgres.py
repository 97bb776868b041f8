"""Backups of a PostgreSQL database by its own ``pg_dump`` and ``pg_restore``, of one snapshot.

The password goes to them by their environment: what stands in a command line is seen by every user of the host.
"""

# ruff: noqa: S608 - names of tables, quoted
from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from mainstay.adapters.sql.backups.contents import BackupFault, Contents, check_new, read_contents, write_contents
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget


class PostgresBackups:
    """Backups of one database, or of one schema of it. Every method raises ``BackupFault``, or ``MigrationFault``."""

    def __init__(self, url: str, schema: str | None = None) -> None:
        self._url = url
        self._schema = schema
        self._target = PostgresTarget(url, schema)

    def backup(self, file: Path) -> Contents:
        """Dump the database, as it is at one moment, and return what is in the dump."""
        check_new(file)
        program = _program("pg_dump")
        unfinished = file.with_name(f"{file.name}.unfinished")
        try:
            contents = asyncio.run(self._dump(program, unfinished))
            write_contents(file, contents)
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return contents

    async def _dump(self, program: str, file: Path) -> Contents:
        connection: Any = await self._target.connect()
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
                contents = Contents(
                    store="postgresql", revision=await _revision(connection), rows=await rows_of(connection)
                )
                options = [
                    "--format=custom",
                    "--no-owner",
                    "--no-privileges",
                    f"--snapshot={snapshot}",
                    f"--file={file}",
                ]
                if self._schema is not None:
                    options.append(f"--schema={_quoted(self._schema)}")
                await asyncio.to_thread(self._run, program, options)
        finally:
            await connection.close()
        return contents

    def restore(self, file: Path, *, replace: bool) -> Contents:
        """Make the database what a dump holds, in one transaction, and return that.

        With ``replace`` the tables that are there are given up.
        """
        contents = read_contents(file, "postgresql")
        if self._target.exists() and not replace:
            raise BackupFault(f"{self._target} is not empty: --replace gives it up for the backup")
        options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        options += ["--clean", "--if-exists"] if replace or self._schema is not None else []
        self._run(_program("pg_restore"), [*options, str(file)])
        differences = contents.differences(asyncio.run(self._rows()))
        if differences:
            raise BackupFault(f"{self._target} is not what was backed up: {'; '.join(differences)}")
        return contents

    async def _rows(self) -> dict[str, int]:
        connection: Any = await self._target.connect()
        try:
            return await rows_of(connection)
        finally:
            await connection.close()

    def _run(self, program: str, options: Sequence[str]) -> None:
        address, environment = without_password(self._url)
        command = [program, f"--dbname={address}", *options]
        done = subprocess.run(  # noqa: S603 - a list, of our own words and of the settings
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BackupFault(f"{Path(program).name} failed: {done.stderr.strip() or done.returncode}")


def without_password(url: str) -> tuple[str, Mapping[str, str]]:
    """Return an address without its password, and the environment that carries it."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    address = parts._replace(netloc=f"{user.partition(':')[0]}@{host}")
    return urlunsplit(address), {"PGPASSWORD": unquote(parts.password)}


async def rows_of(connection: asyncpg.Connection) -> dict[str, int]:
    """Return the number of rows of each table."""
    tables = await connection.fetch(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = ANY(current_schemas(false)) ORDER BY 1"
    )
    return {name: await connection.fetchval(f"SELECT count(*) FROM {_quoted(name)}") for (name,) in tables}


async def _revision(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('mainstay_migration')") is None:
        return None
    found = await connection.fetchval("SELECT version_num FROM mainstay_migration")
    return None if found is None else str(found)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupFault(f"{name} is not there: install PostgreSQL's client programs (Debian: postgresql-client)")
    return found
