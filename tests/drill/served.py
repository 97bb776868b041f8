"""A service of its own processes, and clients that talk HTTP/1.1 to it as they should."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PATIENCE = 30.0
SETTINGS = """service = "ledger:service"
[http]
port = {port}
[database]
url = "sqlite:///ledger.sqlite3"
[admin]
port = 0
[log]
level = "warning"
"""
THROW_AWAY = {  # tables without migrations, but durable as in production
    "MAINSTAY_PROFILE": "development",
    "MAINSTAY_DATABASE_CREATE": "true",
    "MAINSTAY_DATABASE_SYNCHRONOUS": "full",
}


PRODUCTION = {
    "MAINSTAY_PROFILE": "production",
    "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
    "MAINSTAY_HTTP_DRAIN_DELAY": "0",
}


class Broken(Exception):
    """The service did not do what it must for the drill to go on; its log is in the text."""


class Service:
    """``mainstay run`` in a folder: started, signalled and killed by its pid. ``environ`` holds settings.

    ``package`` is a folder with a changed copy of mainstay, which is run in place of the real one.
    """

    def __init__(
        self, folder: Path, *, workers: int = 1, package: Path | None = None, production: bool = False, **environ: str
    ) -> None:
        self.folder = folder
        self.workers = workers
        self.package = package
        self.port = free_port()
        self.database = folder / "ledger.sqlite3"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._log = folder / f"run-{self.port}.log"
        # What measures the tests' coverage would be measured with the service: it costs memory and time of its own.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
        kept |= {"XDG_RUNTIME_DIR": str(folder), **(PRODUCTION if production else THROW_AWAY), **environ}
        if package is not None:
            kept["PYTHONPATH"] = str(package)
        self.environ = kept
        self._kept: socket.socket | None = None
        shutil.copy(HERE / "ledger.py", folder)
        (folder / "mainstay.toml").write_text(SETTINGS.format(port=self.port))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """Start it and wait until it is ready with all of its workers; return how many seconds that took."""
        begun = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                pass_fds=() if self._kept is None else (self._kept.fileno(),),
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self.wait_ready()
        return time.monotonic() - begun

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "mainstay", "run", "--port", str(self.port), "--workers", str(self.workers)]
        if self._kept is None:
            return command
        handing = f'exec env LISTEN_PID=$$ LISTEN_FDS=1 "$@" 3<&{self._kept.fileno()}'
        return ["sh", "-c", handing, "sh", *command]

    def keep(self, listening: socket.socket) -> None:
        """Hand over a socket at every start from now on (sd_listen_fds(3))."""
        self._kept = listening

    def migrate(self) -> None:
        """Make the tables by a migration, as they are made in production."""
        for action, environ in (("plan", {"MAINSTAY_PROFILE": "development"}), ("migrate", {})):
            done = subprocess.run(
                [sys.executable, "-m", "mainstay", "db", action],
                cwd=self.folder,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if done.returncode:
                raise Broken(f"mainstay db {action}: {done.stderr}")

    def wait_ready(self) -> None:
        """Wait until readiness says that every worker runs."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise Broken(f"the service ended by itself\n{self.said()}")
            if self._is_whole():
                return
            time.sleep(0.02)
        raise Broken(f"the service was not ready in time\n{self.said()}")

    def _is_whole(self) -> bool:
        try:
            status, body = ask(self.port, "/ready")
        except OSError:
            return False
        states = [check["state"] for check in body.get("checks", ()) if check["name"] == "workers"]
        return status == 200 and (states == ["ok"] or (self.workers == 1 and not states))

    def children(self) -> list[int]:
        """Return the pids of the workers under the supervisor, or of the one process there is."""
        return children(self.pid) or [self.pid]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """End it for certain, its workers too."""
        if self.process is None:
            return
        workers = children(self.pid) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        kill(workers)

    def said(self) -> str:
        """Return the end of the log."""
        return self._log.read_text()[-6000:]

    def tracebacks(self) -> list[str]:
        """Return what the log tells of unexpected errors, each once."""
        lines = [line for line in self._log.read_text().splitlines() if '"traceback"' in line]
        return sorted({json.loads(line)["traceback"] for line in lines})


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def ask(port: int, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Ask once over a connection of its own, from a drill that has no loop. Raises ``OSError``."""
    raw = b"" if body is None else json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        one.sendall(head(method, path, raw, {"Connection": "close"}) + raw)
        data = b""
        while part := one.recv(1 << 16):
            data += part
    top, _, rest = data.partition(b"\r\n\r\n")
    if not top:
        raise ConnectionResetError("no answer")
    return int(top[9:12]), json.loads(rest) if b"json" in top else rest.decode()


def head(method: str, path: str, body: bytes, fields: dict[str, str]) -> bytes:
    """Return a request's head."""
    lines = [f"{method} {path} HTTP/1.1", "Host: ledger", *(f"{name}: {value}" for name, value in fields.items())]
    if body:
        lines += [] if "Content-Type" in fields else ["Content-Type: application/json"]
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Answer(NamedTuple):
    """What came back."""

    status: int
    fields: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """The code of a problem, or nothing."""
        return str(self.body["code"]) if "problem" in self.fields.get("content-type", "") else ""


class Lost(Exception):
    """No answer: ``sent`` says whether the service may have seen the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Connection:
    """One connection, kept alive, opened when it is needed, and left when the service says ``Connection: close``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(
        self, method: str, path: str, body: Any = None, fields: dict[str, str] | None = None, *, seconds: float = 20.0
    ) -> Answer:
        """Ask, and return the answer. Raises ``Lost``."""
        sent = False
        try:
            async with asyncio.timeout(seconds):
                if self._reader is None or self._reader.at_eof() or self._stirs():
                    await self._open()
                assert self._writer is not None
                raw = b"" if body is None else json.dumps(body).encode()
                sent = True
                self._writer.write(head(method, path, raw, fields or {}) + raw)
                return await self._answer()
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Lost(repr(error), sent=sent) from error
        except BaseException:
            self.close()
            raise

    def _stirs(self) -> bool:
        """Whether something has come over an idle connection: its end, as good clients ask before they use one."""
        assert self._writer is not None
        descriptor = self._writer.get_extra_info("socket").fileno()
        poll = select.poll()
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        return descriptor < 0 or bool(poll.poll(0))

    async def _open(self) -> None:
        self.close()
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened += 1

    async def _answer(self) -> Answer:
        assert self._reader is not None
        top = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in top[1:-2])}
        raw = await self._reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection") == "close":
            self.close()
        return Answer(int(top[0][9:12]), fields, raw)

    def close(self) -> None:
        """Leave."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that have not ended."""
    try:
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for one in found if alive(one)]


def alive(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pids: Sequence[int]) -> None:
    """Send SIGKILL to those processes that have not ended."""
    for pid in pids:
        if alive(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_gone(pids: Sequence[int], seconds: float = 8.0) -> float:
    """Wait until processes have ended; those that have not are killed. Returns how many seconds it took."""
    begun = time.monotonic()
    while any(alive(pid) for pid in pids):
        if time.monotonic() - begun > seconds:
            kill(pids)
            raise Broken(f"processes {pids} outlived their supervisor by {seconds} s")
        time.sleep(0.005)
    return time.monotonic() - begun


@contextlib.contextmanager
def serving(
    *, workers: int = 1, package: Path | None = None, production: bool = False, **environ: str
) -> Iterator[Service]:
    """Serve the ledger from a new folder, with the rows that it begins with; all ends with the block.

    In development its tables are made as it starts; in production a migration is planned and applied before.
    """
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        service = Service(Path(folder), workers=workers, package=package, production=production, **environ)
        try:
            if production:
                service.migrate()
            service.start()
            status, told = ask(service.port, "/prepare", "POST")
            if status != 200:
                raise Broken(f"the ledger could not be prepared: {told}\n{service.said()}")
            yield service
        finally:
            service.end()


class Options(argparse.Namespace):
    """What every drill is told."""

    count: int
    seed: int
    package: Path | None


def parse(arguments: Sequence[str], description: str | None, **more: float | str) -> Options:
    """Read a drill's arguments; ``more`` are numbers and words of its own with their defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="how many times")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--package", type=Path, help="a folder with a changed copy of the package")
    for name, default in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args(list(arguments), namespace=Options())


def verdict(faults: dict[str, Any], **figures: Any) -> int:
    """Print what was found as the last line, in JSON, and return the exit code."""
    print(json.dumps({"ok": not faults, **figures, **({"faults": faults} if faults else {})}))
    return 1 if faults else 0


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which a part of all values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
