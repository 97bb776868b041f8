"""The processes of two services that are joined by a broker, or of one that does without, and what their files say."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from post_files import AWAY, Books, PostgresBooks, SqliteBooks
from served import PATIENCE, THROW_AWAY, Broken, ask, children, free_port, kill

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "plugins"))

from own_service import OwnService, own_service  # noqa: E402 - a plugin of the tests

STORED = ("redis", "nats", "rabbitmq", "kafka")
DATABASES = ("sqlite", "postgresql")
BROKERS = ("none", "database", *STORED)
PENDING = "SELECT count(*) FROM mainstay_inbox WHERE state = 'pending'"
SETTINGS = """service = "posting:service"
[http]
port = {port}
[database]
url = "{url}"
[admin]
port = 0
[log]
level = "warning"
"""


class Process:
    """One process of a service: started, stopped, held and killed by its pid."""

    def __init__(self, site: Site, name: str, words: Sequence[str]) -> None:
        self.name = name
        self.site = site
        self._command = [sys.executable, "-m", "mainstay", *words]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait for nothing."""
        with self.site.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.site.folder,
                env=self.site.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            workers = children(self.pid)
            self._process.kill()
            self._process.wait()
            kill(workers)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def hold(self) -> None:
        """Have it stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def let_go(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None


class Site:
    """A service in a folder of its own, with its database."""

    def __init__(
        self, folder: Path, modules: str, url: str, package: Path | None, server: str = "", **environ: str
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.books: Books = PostgresBooks(server, f"drill_{folder.name}") if server else SqliteBooks(folder)
        self.log = folder / "log"
        self.port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
        kept |= {"XDG_RUNTIME_DIR": str(folder), **THROW_AWAY, "MAINSTAY_EVENTS": url, "DRILL_MODULES": modules}
        kept |= {"MAINSTAY_WORKER_INSIDE": "false", **environ}
        if package is not None:
            kept["PYTHONPATH"] = str(package)
        self.environ = kept
        shutil.copy(HERE / "posting.py", folder)
        (folder / "mainstay.toml").write_text(SETTINGS.format(port=self.port, url=self.books.url))

    def number(self, statement: str) -> int:
        """Read one number."""
        return int(self.books.ask(statement)[0][0])

    def run(self, *words: str) -> Any:
        """Run a command of ``mainstay`` in its folder, and return the facts that it tells."""
        done = subprocess.run(
            [sys.executable, "-m", "mainstay", *words, "--format", "json"],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
        if done.returncode:
            raise Broken(f"mainstay {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout)

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text()[-4000:] if self.log.exists() else ""


class PostOffice:
    """The door that events are emitted through, those who hand them on, those who note them, and the broker."""

    def __init__(self, sender: Site, receiver: Site, broker: OwnService | None, url: str) -> None:
        self.sender = sender
        self.receiver = receiver
        self.broker = broker
        self.url = url
        self.closing = False
        self.door = Process(sender, "door", ["run", "--workers", "1"])
        self.relays = [] if sender is receiver else [_worker(sender, f"relay {n}") for n in range(2)]
        names = ("worker", 3) if sender is receiver else ("consumer", 2)
        self.consumers = [_worker(receiver, f"{names[0]} {n}") for n in range(names[1])]

    @property
    def workers(self) -> list[Process]:
        """All that work on events."""
        return [*self.relays, *self.consumers]

    def open(self) -> None:
        """Start all of them, the receiver first: what is emitted reaches those groups that are there."""
        if self.receiver is not self.sender:
            self.join()
        self.door.start()
        self._await(lambda: ask(self.sender.port, "/ready")[0] == 200, "the door is not ready")
        for each in (*self.relays, *self.consumers[self.receiver is not self.sender :]):
            each.start()

    def join(self) -> None:
        """Start the first consumer, and wait until its group is in the broker."""
        self.consumers[0].start()
        self._await(self._joined, "the receiver did not begin")

    def _joined(self) -> bool:
        if self.consumers[0].ended():
            raise Broken(f"the receiver ended by itself\n{self.receiver.said()}")
        return (
            "working on the events" in self.receiver.said()
            and self.receiver.number("SELECT count(*) FROM mainstay_consumer") > 0
        )

    def _await(self, done: Any, complaint: str) -> None:
        deadline = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < deadline and not self.closing:
            with contextlib.suppress(*AWAY):
                if done():
                    return
            time.sleep(0.05)
        raise Broken(f"{complaint}\n{self.said()}")

    def close(self) -> None:
        """End all processes."""
        for each in (self.door, *self.workers):
            each.kill()

    def said(self) -> str:
        """Return what the services have said at last."""
        return f"sender: {self.sender.said()}\nreceiver: {self.receiver.said()}"

    # --- what the files say

    def noted(self) -> int:
        """Return how many effects there are."""
        return self.receiver.number("SELECT count(*) FROM receiver_effect")

    def sent(self) -> int:
        """Return how many events were committed."""
        return self.sender.number("SELECT count(*) FROM sender_letter")

    def waiting(self) -> int:
        """Return how many events have been committed and neither done nor given up."""
        dead = self.receiver.number("SELECT count(*) FROM mainstay_inbox WHERE state = 'dead'")
        return max(self.sent() - self.noted() - dead, self.queued())

    def queued(self) -> int:
        """Return how many messages wait in the outbox and in the inbox, but for those behind dead letters."""
        outbox = self.sender.number("SELECT count(*) FROM mainstay_outbox") if self.sender.log.exists() else 0
        return outbox + self.receiver.number(f"{PENDING} AND (place IS NOT NULL OR due_at IS NOT NULL)")

    def parked(self) -> int:
        """Return how many messages wait behind dead letters of their key."""
        return self.receiver.number(f"{PENDING} AND place IS NULL AND due_at IS NULL")

    def nowhere(self) -> int:
        """Return how many events the sender has handed on and the receiver has not got."""
        got = self.receiver.number("SELECT count(*) FROM mainstay_inbox")
        left = self.sender.number("SELECT count(*) FROM mainstay_outbox")
        return 0 if left else max(0, self.sent() - got)

    def look(self, acknowledged: set[str]) -> dict[str, Any]:
        """Return what is wrong at any time: effects first, so that what comes meanwhile is no effect of nothing."""
        kept = set(acknowledged)
        effects = self._effects()
        letters = self._letters()
        return _told(
            lost=sorted(kept - letters)[:5],
            effects_twice=sorted(mark for mark, times in effects.items() if times > 1)[:5],
            effects_of_nothing=sorted(effects.keys() - letters)[:5],
            out_of_order=self.receiver.number("SELECT coalesce(sum(disorder), 0) FROM receiver_place"),
            dead_letters=self.dead()[:5],
        )

    def look_at_the_end(self, acknowledged: set[str]) -> dict[str, Any]:
        """Return what is wrong once nothing is under way any more."""
        missing = sorted(self._letters() - self._effects().keys())
        ends = _told(queued=self.queued(), effects_missing=[len(missing), *missing[:5]] if missing else [])
        return {**self.look(acknowledged), **ends}

    def dead(self) -> list[Any]:
        """Return the dead letters: cause, attempts and payload."""
        return self.receiver.books.ask("SELECT cause, attempts, payload FROM mainstay_inbox WHERE state = 'dead'")

    def _effects(self) -> Counter[str]:
        return Counter(mark for (mark,) in self.receiver.books.ask("SELECT mark FROM receiver_effect"))

    def _letters(self) -> set[str]:
        return {mark for (mark,) in self.sender.books.ask("SELECT mark FROM sender_letter")}


def _worker(site: Site, name: str) -> Process:
    return Process(site, name, ["worker", "--no-admin"])


def _told(**found: Any) -> dict[str, Any]:
    return {name: what for name, what in found.items() if what}


@contextlib.contextmanager
def post_office(broker: str, database: str, package: Path | None, **environ: str) -> Iterator[PostOffice]:
    """Have the services with a broker of their own, nothing started but that; all of it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="drill-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        server = None
        if database == "postgresql":
            (folder / "database").mkdir()
            environ["server"] = stack.enter_context(own_service("postgres", folder / "database")).url
        url = f"sqlite:///{folder}/broker.sqlite3" if broker == "database" else ""
        if broker in STORED:
            (folder / "broker").mkdir()
            server = stack.enter_context(own_service(broker, folder / "broker"))
            url = server.url
        if broker == "none":
            sender = receiver = Site(folder / "post", "sender,receiver", url, package, **environ)
        else:
            sender = Site(folder / "sender", "sender", url, package, **environ)
            receiver = Site(folder / "receiver", "receiver", url, package, **environ)
        office = PostOffice(sender, receiver, server, url)
        stack.callback(office.close)
        yield office
