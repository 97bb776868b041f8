"""A PostgreSQL server for the bench: one that is named, or one of its own, with a database for each contender."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench import processes

NAMED = "MAINSTAY_TEST_POSTGRES"
ACCOUNT = "postgres"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_CONNECTIONS = 300
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Missing(RuntimeError):
    """There is no PostgreSQL to be had; the message says what to do."""


def binaries(root: Path = Path("/")) -> Path:
    """Return the folder of the newest PostgreSQL that is installed. Raises ``Missing``."""
    found = [one for place in _PLACES for one in root.glob(place.lstrip("/")) if _complete(one)]
    if found:
        return max(found, key=lambda one: [int(number) for number in re.findall(r"\d+", one.parent.name)])
    path = shutil.which("initdb")
    if path and _complete(Path(path).resolve().parent):
        return Path(path).resolve().parent
    raise Missing(
        f"there is no PostgreSQL here: apt-get install postgresql, or name a server that is idle by {NAMED}="
        "postgresql://user@host/database"
    )


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("initdb", "postgres"))


class Cluster:
    """A running server: its address, and its main process where that is on this machine.

    ``lasting`` says that it stays when the bench is over, so that what was made in it must be taken away.
    """

    def __init__(self, url: str, pid: int | None, *, lasting: bool) -> None:
        self.url = url
        self.pid = pid
        self.lasting = lasting

    def url_of(self, database: str) -> str:
        """Return the address of a database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def pids(self) -> list[int]:
        """Return all its processes; none where they are on another machine."""
        return [] if self.pid is None else processes.tree(self.pid)


@contextlib.contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Give a server that runs: the one that is named, or one of our own. Raises ``Missing``.

    With settings it is always one of our own, started with them.
    """
    url = os.environ.get(NAMED)
    if url and not settings:
        try:
            main_process = _main_process(url)
        except (OSError, asyncpg.PostgresError) as fault:
            raise Missing(f"{NAMED} cannot be used: {fault}") from fault
        yield Cluster(url, main_process, lasting=True)
        return
    tools = binaries()
    folder = Path(tempfile.mkdtemp(prefix="bench-postgresql-", dir="/var/tmp" if Path("/var/tmp").is_dir() else None))
    try:
        with _running(tools, folder, settings) as own:
            yield own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_account() -> list[str]:
    """Return the command by which it is run as another than root, who is refused."""
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]


@contextlib.contextmanager
def _running(tools: Path, folder: Path, more: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a server with its data in a folder; it is durable as it is by default. Ended by its process id."""
    account = as_account()
    if account:
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    options = ["-U", "bench", "--auth=trust", "-E", "UTF8", "--locale=C"]
    made = subprocess.run(
        [*account, str(tools / "initdb"), "-D", str(folder / "data"), *options],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if made.returncode:
        raise Missing(f"initdb ended with {made.returncode}:\n{made.stderr[-1500:]}")
    port = processes.free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": str(_CONNECTIONS),
        **more,
    }
    command = [*processes.pins()[1], *account, str(tools / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, port, folder / "log")
        yield Cluster(f"postgresql://bench@127.0.0.1:{port}/postgres", process.pid, lasting=False)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            asyncio.run(row(f"postgresql://bench@127.0.0.1:{port}/postgres", "SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            time.sleep(0.1)
        else:
            return
    raise Missing(f"PostgreSQL does not come up:\n{log.read_text(errors='replace')[-1500:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server: its clients are sent away, and after some time it is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def row(url: str, statement: str) -> Any:
    """Return the one row of a statement, by a connection of its own."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchrow(statement)
    finally:
        await connection.close()


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def create(url: str, database: str) -> None:
    """Make an empty database; one of that name is taken away first."""
    await _run(
        url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", f"CREATE DATABASE {database} TEMPLATE template0"
    )


async def drop(url: str, databases: Iterable[str]) -> None:
    """Take databases away, whoever uses them."""
    await _run(url, *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in databases))


async def analyze(url: str) -> None:
    """Let the planner know what is in a database, so that all are planned alike and at once."""
    await _run(url, "VACUUM ANALYZE")


async def version(url: str) -> str:
    """Return the server's version."""
    found = await row(url, "SHOW server_version")
    return str(found[0]).partition(" ")[0]


def _main_process(url: str) -> int | None:
    """Return the main process of a server on this machine; None where it is elsewhere."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url, timeout=10))
        try:
            own = Path(
                f"/proc/{runner.run(connection.fetchval('SELECT pg_backend_pid()'))}"
            )  # there until it is closed
            if not (own / "cmdline").read_bytes().startswith(b"postgres:"):
                return None
            return int((own / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return None
        finally:
            runner.run(connection.close())
