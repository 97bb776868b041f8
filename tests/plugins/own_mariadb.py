"""MariaDB servers of a test's own; one may follow another as its replica, by global transaction ids."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncmy

PATIENCE = 30.0
FOLLOW = "CHANGE MASTER TO master_host='127.0.0.1', master_port={port}, master_user='root', master_use_gtid=slave_pos"


class OwnMariadb:
    """One server's processes and files; root has no password."""

    def __init__(self, folder: Path, number: int) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self.url = f"mysql://root@127.0.0.1:{self.port}"
        self._number = number
        self._folder = folder / f"server{number}"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the database's files."""
        self._folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._folder, "mysql", "mysql")
        options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self._folder}/db", *options]
        done = subprocess.run(
            [*_as_mysql(), *command],
            env={**os.environ, "TMPDIR": str(self._folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*_as_mysql(), shutil.which("mariadbd", path=f"/usr/sbin:{os.environ['PATH']}") or "mariadbd"),
                    *("--no-defaults", f"--datadir={self._folder}/db", f"--tmpdir={self._folder}"),
                    *("--skip-networking=0", "--bind-address=127.0.0.1", "--skip-name-resolve", f"--port={self.port}"),
                    *("--socket=socket", f"--pid-file={self._folder}/pid", "--character-set-server=utf8mb4"),
                    *(f"--server-id={self._number}", "--log-bin=binlog", "--relay-log=relay", "--gtid-strict-mode=1"),
                    *("--innodb-buffer-pool-size=32M", "--slave-net-timeout=5", "--slave-parallel-threads=0"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB did not start\n{(self._folder / 'log').read_text()[-3000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
                return len(one.recv(5)) == 5
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)

    async def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements by a connection of their own, and return the rows of the last one."""
        connection: Any = await asyncmy.connect(host="127.0.0.1", port=self.port, user="root")
        try:
            cursor = connection.cursor()
            for statement in statements:
                await cursor.execute(statement)
            return list(await cursor.fetchall() or ())
        finally:
            await connection.ensure_closed()

    async def follow(self, primary: OwnMariadb) -> None:
        """Become a replica."""
        await self.ask(FOLLOW.format(port=primary.port), "START SLAVE")


def _as_mysql() -> list[str]:
    """Return what a command is put behind: the server refuses to be run by root."""
    return ["setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def own_mariadbs(count: int = 2) -> Iterator[tuple[OwnMariadb, ...]]:
    """Have servers, two unless told otherwise; they end with the block, and their files too."""
    with tempfile.TemporaryDirectory(prefix="own-my-") as name:
        folder = Path(name)
        for parent in (folder, *folder.parents):  # a folder that only its owner may enter is not entered by it
            if parent.is_relative_to(tempfile.gettempdir()) and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        servers = tuple(OwnMariadb(folder, number) for number in range(1, count + 1))
        try:
            for server in servers:
                server.make()
                server.start()
            yield servers
        finally:
            for server in servers:
                server.kill()
