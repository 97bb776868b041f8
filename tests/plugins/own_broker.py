"""Redis and NATS servers of a test's own: killed, started again, and set up as no other test has them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from certificates import Pair

PATIENCE = 30.0
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


class OwnBroker:
    """One server process on a port of its own, which it keeps when it is started again."""

    def __init__(self, folder: Path, program: str, arguments: Sequence[str]) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        found = shutil.which(program) or shutil.which(program, path=_PATH)
        assert found, f"this needs {program}: scripts/services up installs it"
        self._command = [found, *(word.replace("{port}", str(self.port)) for word in arguments)]
        self._log = folder / f"{program}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.02)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it at once, as the kernel does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None


@contextmanager
def own_redis(folder: Path, *options: str, tls: Pair | None = None) -> Iterator[OwnBroker]:
    """Have a Redis server that keeps what it confirms, unless the options say otherwise."""
    port = ["--port", "{port}"]
    if tls is not None:
        port = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"]
        port += ["--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key)]
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]
    with _running(
        OwnBroker(folder, "redis-server", ["--bind", "127.0.0.1", "--dir", str(folder), *kept, *port, *options])
    ) as own:
        yield own


@contextmanager
def own_nats(folder: Path, *options: str, tls: Pair | None = None) -> Iterator[OwnBroker]:
    """Have a NATS server with JetStream."""
    secured = [] if tls is None else ["--tls", f"--tlscert={tls.certificate}", f"--tlskey={tls.key}"]
    words = ["--addr", "127.0.0.1", "--port", "{port}", "--jetstream", "--store_dir", str(folder), *secured, *options]
    with _running(OwnBroker(folder, "nats-server", words)) as own:
        yield own


@contextmanager
def _running(own: OwnBroker) -> Iterator[OwnBroker]:
    try:
        own.start()
        yield own
    finally:
        own.kill()
