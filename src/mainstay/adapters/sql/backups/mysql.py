"""Backups of a MariaDB or MySQL database by its own ``mariadb-dump`` (``mysqldump``) and client, of one snapshot.

The password goes to them by a file that its owner alone may read: what stands in a command line is seen by every user
of the host.
"""

# ruff: noqa: S608 - names of tables, quoted
from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

from mainstay.adapters.sql.backups.contents import BackupFault, Contents, check_new, read_contents, write_contents
from mainstay.adapters.sql.backups.mysql_dump import Counted
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.adapters.sql.mysql.options import address

_DUMP = (
    "--single-transaction",  # one snapshot; nobody who writes is held up
    "--skip-lock-tables",
    "--quick",  # row by row: a table need not fit into memory
    "--hex-blob",
    "--routines",
    "--no-tablespaces",
    "--skip-comments",
    "--default-character-set=utf8mb4",
)
_OF_MYSQL = ("--set-gtid-purged=OFF", "--column-statistics=0")
_OBJECTS = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"


class MysqlBackups:
    """Backups of one database. Every method raises ``BackupFault``, or ``MigrationFault``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._target = MysqlTarget(url)

    def backup(self, file: Path) -> Contents:
        """Dump the database, as it is at one moment, and return what is in the dump.

        Two sessions of these servers cannot share a snapshot, so the rows are counted in the dump itself.
        """
        check_new(file)
        program = _program("mariadb-dump", "mysqldump")
        self._target.schema()  # a server that is away is told as such
        unfinished = file.with_name(f"{file.name}.unfinished")
        try:
            with unfinished.open("wb") as out:
                counted = self._dump(program, out)
            contents = Contents(store="mysql", revision=counted.revision, rows=counted.rows)
            write_contents(file, contents)
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return contents

    def _dump(self, program: str, out: IO[bytes]) -> Counted:
        counted = Counted()
        options = [*_DUMP, *(() if _is_mariadb(program) else _OF_MYSQL), self._target.database]
        with self._command(program, options) as command, tempfile.TemporaryFile() as errors:
            running = subprocess.Popen(  # noqa: S603 - a list, of our own words and of the settings
                command, stdout=subprocess.PIPE, stderr=errors
            )
            assert running.stdout is not None
            with running.stdout as lines:
                for line in lines:
                    counted.take(line)
                    out.write(line)
            if running.wait():
                errors.seek(0)
                raise _failed(program, errors.read(), running.returncode)
        return counted

    def restore(self, file: Path, *, replace: bool) -> Contents:
        """Make the database what a dump holds, and return that. With ``replace`` what is there is given up.

        These servers have no transaction for it: a restore that fails has to be done again, with ``replace``.
        """
        contents = read_contents(file, "mysql")
        program = _program("mariadb", "mysql")
        if self._target.exists():
            if not replace:
                raise BackupFault(f"{self._target} is not empty: --replace gives it up for the backup")
            asyncio.run(self._target.connected(_clear))
        options = ["--default-character-set=utf8mb4", self._target.database]
        with self._command(program, options) as command, file.open("rb") as dump:
            done = subprocess.run(command, stdin=dump, capture_output=True, check=False)  # noqa: S603 - as above
        if done.returncode:
            raise _failed(program, done.stderr, done.returncode)
        differences = contents.differences(asyncio.run(self._target.connected(rows_of)))
        if differences:
            raise BackupFault(f"{self._target} is not what was backed up: {'; '.join(differences)}")
        return contents

    @contextmanager
    def _command(self, program: str, options: Sequence[str]) -> Iterator[list[str]]:
        """Give a command line whose secrets are in a file that goes behind it."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="mainstay-", suffix=".cnf") as settings:  # 0600
            settings.write("\n".join(client_settings(self._url, mariadb=_is_mariadb(program))))
            settings.flush()
            yield [program, f"--defaults-file={settings.name}", *options]


def client_settings(url: str, *, mariadb: bool) -> list[str]:
    """Return the lines of a file that tells a client program where a database is, and who asks."""
    found = address(url)
    given = dict(parse_qsl(urlsplit(url).query))
    mode = given.get("ssl-mode") or ("verify-identity" if "ssl-ca" in given else "disabled")
    where = {"socket": found["unix_socket"]} if found["unix_socket"] else {"host": found["host"], "port": found["port"]}
    values = {**where, "user": found["user"], "password": found["password"].decode(), "ssl-ca": given.get("ssl-ca")}
    lines = [f"{name}={_quoted_value(str(value))}" for name, value in values.items() if value]
    if not mariadb:
        return ["[client]", *lines, f"ssl-mode={mode.replace('-', '_').upper()}", "get-server-public-key"]
    verified = "ssl-verify-server-cert" if mode.startswith("verify") else "skip-ssl-verify-server-cert"
    return ["[client]", *lines, *(["skip-ssl"] if mode == "disabled" else ["ssl", verified])]


def _quoted_value(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise BackupFault(
            "the user or the password of the url has a line break, which a client program takes from nobody"
        )
    return '"' + value.replace("\\", "\\\\") + '"'


async def _clear(connection: Any) -> None:
    """Drop all tables and views."""
    cursor = connection.cursor()
    await cursor.execute(_OBJECTS)
    objects = await cursor.fetchall()
    await cursor.execute("SET SESSION foreign_key_checks = 0")
    for name, kind in objects:
        await cursor.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {_quoted(name)}")


async def rows_of(connection: Any) -> dict[str, int]:
    """Return the number of rows of each table."""
    cursor = connection.cursor()
    await cursor.execute(_OBJECTS)
    counted: dict[str, int] = {}
    for name, kind in await cursor.fetchall():
        if kind == "BASE TABLE":
            await cursor.execute(f"SELECT count(*) FROM {_quoted(name)}")
            counted[name] = (await cursor.fetchone())[0]
    return counted


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _failed(program: str, said: bytes, code: int) -> BackupFault:
    return BackupFault(f"{Path(program).name} failed: {said.decode(errors='replace').strip() or code}")


def _program(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise BackupFault(
        f"neither {' nor '.join(names)} is there: install the client programs of MariaDB or MySQL "
        "(Debian: mariadb-client)"
    )


def _is_mariadb(program: str) -> bool:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - as above
    return "MariaDB" in told.stdout
