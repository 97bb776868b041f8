"""A MariaDB server for the bench: one that is named, or one of its own, with a database for each contender."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy
from asyncmy.errors import MySQLError

from bench import processes
from bench.postgres import Cluster, Missing

NAMED = "MAINSTAY_TEST_MARIADB"
ACCOUNT = "mysql"
PREFIX = "mainstay_bench_"
"""What the names of databases begin with: so that a user who has a right to such alone will do."""

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")
_CONNECTIONS = 300
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def program(name: str) -> str:
    """Return the path of one of the server's programs. Raises ``Missing``."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if found is None:
        raise Missing(
            f"there is no MariaDB here: apt-get install mariadb-server, or name a server that is idle by {NAMED}="
            "mysql://user:password@host/database"
        )
    return found


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Give a server that runs: the one that is named, or one of our own. Raises ``Missing``."""
    url = os.environ.get(NAMED)
    if url:
        try:
            main_process = _main_process(url)
        except (OSError, MySQLError) as fault:
            raise Missing(f"{NAMED} cannot be used: {fault}") from fault
        yield Cluster(url, main_process, lasting=True)
        return
    server, install = program("mariadbd"), program("mariadb-install-db")
    folder = Path(tempfile.mkdtemp(prefix="bench-mariadb-", dir="/var/tmp" if Path("/var/tmp").is_dir() else None))
    try:
        with _running(server, install, folder) as own:
            yield own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_account() -> list[str]:
    """Return the command by which it is run as another than root, who is refused."""
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]


@contextlib.contextmanager
def _running(server: str, install: str, folder: Path) -> Iterator[Cluster]:
    """Run a server with its data in a folder; it is durable as it is by default. Ended by its process id."""
    account = as_account()
    if account:
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    options = ["--no-defaults", f"--datadir={folder / 'data'}"]
    made = subprocess.run(
        [*account, install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if made.returncode:
        raise Missing(f"mariadb-install-db ended with {made.returncode}:\n{made.stderr[-1500:]}")
    port = processes.free_port()
    options += [f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--character-set-server=utf8mb4"]
    options += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--max-connections={_CONNECTIONS}"]
    command = [*processes.pins()[1], *account, server, *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    url = f"mysql://root@127.0.0.1:{port}/mysql"
    try:
        _wait(process, url, folder / "log")
        yield Cluster(url, process.pid, lasting=False)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            asyncio.run(row(url, "SELECT 1"))
        except (OSError, MySQLError):
            time.sleep(0.1)
        else:
            return
    raise Missing(f"MariaDB does not come up:\n{log.read_text(errors='replace')[-1500:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and kill it after some time."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def address(url: str) -> dict[str, Any]:
    """Return what the driver is told of an address."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": parts.username,
        "password": parts.password or "",
        "database": parts.path[1:],
    }


async def row(url: str, statement: str) -> Any:
    """Return the one row of a statement, by a connection of its own."""
    connection: Any = await asyncmy.connect(**address(url), connect_timeout=10)
    try:
        cursor = connection.cursor()
        await cursor.execute(statement)
        return await cursor.fetchone()
    finally:
        await connection.ensure_closed()


async def _run(url: str, *statements: str) -> None:
    connection: Any = await asyncmy.connect(**address(url), connect_timeout=10)
    try:
        for statement in statements:
            await connection.query(statement)
    finally:
        await connection.ensure_closed()


async def create(url: str, database: str) -> None:
    """Make an empty database; one of that name is taken away first."""
    await _run(url, f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database} CHARACTER SET utf8mb4")


async def drop(url: str, databases: Iterable[str]) -> None:
    """Take databases away."""
    await _run(url, *(f"DROP DATABASE IF EXISTS {name}" for name in databases))


async def analyze(url: str, *tables: str) -> None:
    """Let the planner know what is in a database, so that all are planned alike and at once."""
    await _run(url, *(f"ANALYZE TABLE {name}" for name in tables))


async def tables(url: str) -> list[str]:
    """Return the tables of a database."""
    found = await row(
        url, "SELECT group_concat(table_name) FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    return str(found[0]).split(",") if found[0] else []


async def version(url: str) -> str:
    """Return the server's version."""
    return str((await row(url, "SELECT VERSION()"))[0]).partition("-")[0]


def _main_process(url: str) -> int | None:
    """Return the process of a server on this machine; None where it is elsewhere."""
    (file,) = asyncio.run(row(url, "SELECT @@pid_file"))
    try:
        pid = int(Path(file).read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return pid if name in ("mariadbd", "mysqld") else None
