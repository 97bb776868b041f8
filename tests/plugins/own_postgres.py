"""PostgreSQL servers of a test's own: made in a temporary folder, killed, started again, and copied to standbys."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

BINARIES = "/usr/lib/postgresql/*/bin"
PATIENCE = 30.0
USER = "mainstay"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "32MB",
}


class ServerBroken(Exception):
    """A server did not do what it must for the test to go on."""


class OwnServer:
    """The server's processes and files. What it is asked for comes over loopback, with no password."""

    def __init__(self, folder: Path, name: str = "data") -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        self.name = name
        self._data = folder / name
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the database's files."""
        _run("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def copy(self, primary: OwnServer) -> None:
        """Become a standby of another server, with a copy of its files in place of those that there were."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = f"{primary.url}?application_name={self.name}"
        _run("pg_basebackup", "-D", str(self._data), "-d", source, "-R", "-X", "stream", "-c", "fast", "-N")
        # Of the copy, not of the primary: it has nobody to wait for as it takes over.
        with (self._data / "postgresql.auto.conf").open("a") as conf:
            conf.write("synchronous_standby_names = ''\n")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        command = [*_as_postgres(), str(_binary("postgres")), "-D", str(self._data), "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}"))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerBroken(f"PostgreSQL did not start\n{self._log.read_text()[-3000:]}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Whether it takes a connection: it says R, for authentication, rather than E, for an error."""
        start = b"\x00\x03\x00\x00user\x00mainstay\x00database\x00postgres\x00\x00"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
                one.sendall((len(start) + 4).to_bytes(4) + start)
                return one.recv(1) == b"R"
        except OSError:
            return False

    def kill(self, number: int = signal.SIGQUIT) -> None:
        """Shut it down at once, as a crash does: nothing is brought to its end, and the log is played back after it.

        SIGKILL is for the first process alone, as a kill of the kernel's is; the others see that it is gone.
        """
        assert self._process is not None
        others = _children(self._process.pid)
        self._process.send_signal(number)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in others):
            if time.monotonic() > deadline:
                raise ServerBroken(f"processes {others} outlived their server")
            time.sleep(0.005)

    def end(self) -> None:
        """End it for certain."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    async def ask(self, *statements: str) -> list[asyncpg.Record]:
        """Run statements by a connection of their own, and return the rows of the last one."""
        connection = await asyncpg.connect(self.url, timeout=PATIENCE)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return list(await connection.fetch(statements[-1]))
        finally:
            await connection.close()


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _run(program: str, *arguments: str) -> None:
    """Run one of the server's programs."""
    done = subprocess.run(
        [*_as_postgres(), str(_binary(program)), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    if done.returncode:
        raise ServerBroken(f"{program}: {done.stderr}")


def _binary(name: str) -> Path:
    """Return the newest program of a name that is installed."""
    found = sorted(Path("/").glob(f"{BINARIES[1:]}/{name}"), key=lambda path: path.parts[-3].zfill(4))
    if not found:
        raise ServerBroken(f"this needs a PostgreSQL server of its own: there is no {BINARIES}/{name}")
    return found[-1]


def _as_postgres() -> list[str]:
    """Return what a command is put behind: the server refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that the server's user may write to."""
    with tempfile.TemporaryDirectory(prefix="own-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            for parent in (folder, *folder.parents):  # a folder that only its owner may enter is not entered by it
                if parent.is_relative_to(tempfile.gettempdir()) and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        yield folder


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Have a server; it ends with the block, and its files too."""
    with _folder() as folder:
        server = OwnServer(folder)
        try:
            server.make()
            server.start()
            yield server
        finally:
            server.end()


@contextlib.contextmanager
def own_pair() -> Iterator[tuple[OwnServer, OwnServer]]:
    """Have a primary and a standby that follows it; they end with the block, and their files too."""
    with _folder() as folder:
        primary, standby = OwnServer(folder, "first"), OwnServer(folder, "second")
        try:
            primary.make()
            primary.start()
            standby.copy(primary)
            standby.start()
            yield primary, standby
        finally:
            standby.end()
            primary.end()
