"""A PostgreSQL server of a drill's own: made in a temporary folder, killed and started again by its pid."""

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

from served import Broken, free_port

BINARIES = "/usr/lib/postgresql/*/bin"
PATIENCE = 30.0
USER = "mainstay"


class OwnServer:
    """The server's processes and files. What it is asked for comes over loopback, with no password."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the database's files."""
        command = [*_as_postgres(), str(_binary("initdb")), "-D", str(self._data), "-U", USER, "-A", "trust"]
        done = subprocess.run(
            [*command, "-E", "UTF8", "--locale=C", "-N"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
        if done.returncode:
            raise Broken(f"initdb: {done.stderr}")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "120"}
        command = [*_as_postgres(), str(_binary("postgres")), "-D", str(self._data), "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(part for name, value in options.items() for part in ("-c", f"{name}={value}"))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"PostgreSQL did not start\n{self._log.read_text()[-3000:]}")
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

    def kill(self) -> None:
        """Shut it down at once, as a crash does: nothing is brought to its end, and the log is played back after it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """End it for certain."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


def _binary(name: str) -> Path:
    """Return the newest program of a name that is installed."""
    found = sorted(Path("/").glob(f"{BINARIES[1:]}/{name}"), key=lambda path: path.parts[-3].zfill(4))
    if not found:
        raise Broken(f"this drill needs a PostgreSQL server of its own: there is no {BINARIES}/{name}")
    return found[-1]


def _as_postgres() -> list[str]:
    """Return what a command is put behind: the server refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Have a server; it ends with the block, and its files too."""
    with tempfile.TemporaryDirectory(prefix="drill-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            for parent in (folder, *folder.parents):  # a folder that only its owner may enter is not entered by it
                if parent.is_relative_to(tempfile.gettempdir()) and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        server = OwnServer(folder)
        try:
            server.make()
            server.start()
            yield server
        finally:
            server.end()
