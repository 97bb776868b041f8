"""Rotate the signing keys under a steady load, and count the requests that fail: none may.

Two workers are asked 200 times a second by people who log in, call, write and refresh as their tokens end, which they
do within seconds, so that every key signs and tokens of several keys are under way at any time.

    scripts/drill rotate --count 10 --seed 7
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from served import PATIENCE, Broken, Connection, Lost, Service, parse, quantile, verdict

RATE = 200.0  # requests a second
PEOPLE = 40
ACCESS_SECONDS = 6
LEAD = 1.5  # seconds that a key is shown before it signs
PLUGINS = Path(__file__).parents[1] / "plugins"
SIGNING = f"""from logged_in import Accounts, make_service

service = make_service(Accounts(access_seconds={ACCESS_SECONDS}))
"""
SETTINGS = """service = "signing:service"
[http]
port = {port}
queue_target_ms = 0
[database]
url = "sqlite:///notes.sqlite3"
[admin]
port = 0
[log]
level = "warning"
"""


class Person:
    """Somebody who keeps a log-in alive, one request at a time."""

    def __init__(self, number: int, port: int) -> None:
        self.email = f"person{number}@shop.example"
        self._connection = Connection(port)
        self._access = ""
        self._refresh = ""
        self._until = 0.0
        self._turn = asyncio.Lock()

    async def enter(self) -> None:
        """Sign up and log in."""
        await self._connection.request("POST", "/auth/test/sign-up", {"email": self.email})
        answer = await self._connection.request("POST", "/auth/test/log-in", {"email": self.email})
        if answer.status != 200:
            raise Broken(f"log-in: {answer.status} {answer.raw!r}")
        self._take(answer.body)

    def _take(self, opened: dict[str, Any]) -> None:
        self._access, self._refresh = opened["access_token"], opened["refresh_token"]
        self._until = time.monotonic() + ACCESS_SECONDS - 2

    async def call(self, load: Load, *, write: bool) -> None:
        """Send one request, a refresh where that is due."""
        async with self._turn:
            begun = time.monotonic()
            if begun > self._until:
                body = {"refresh_token": self._refresh}
                answer = await self._connection.request("POST", "/auth/refresh", body)
                if answer.status == 200:
                    self._take(answer.body)
                    load.keys[_kid(self._access)] += 1
            else:
                fields = {"Authorization": f"Bearer {self._access}"}
                if write:
                    answer = await self._connection.request("POST", "/notes", {"text": self.email}, fields)
                else:
                    answer = await self._connection.request("GET", "/me", None, fields)
            load.note(answer.status, answer.code, time.monotonic() - begun)

    def close(self) -> None:
        """Leave."""
        self._connection.close()


class Load:
    """Requests at a rate that waits for no answer, by people in turn."""

    def __init__(self, people: Sequence[Person], chance: random.Random) -> None:
        self.failed: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()  # that signed, by what was refreshed
        self.seconds: list[float] = []
        self._people = people
        self._chance = chance
        self._stopping = False
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send nothing more, and wait for what is under way."""
        self._stopping = True
        assert self._task is not None
        async with asyncio.timeout(60):
            await self._task
            await asyncio.gather(*self._under_way)

    async def _send(self) -> None:
        begun, sent = time.monotonic(), 0
        while not self._stopping:
            while sent < (time.monotonic() - begun) * RATE:
                sent += 1
                task = asyncio.create_task(self._one(self._people[sent % len(self._people)]))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(0.004)

    async def _one(self, person: Person) -> None:
        try:
            await person.call(self, write=self._chance.random() < 0.1)
        except Lost as lost:
            self.failed[str(lost)] += 1

    def note(self, status: int, code: str, seconds: float) -> None:
        """Take an answer into account."""
        self.seconds.append(seconds)
        if status not in (200, 201):
            self.failed[f"{status} {code}"] += 1


def _kid(token: str) -> str:
    """Return the id of the key that signed a token."""
    head = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def _rotate(service: Service) -> list[str]:
    """Rotate as an operator does; return the ids of the keys that there are then."""
    done = subprocess.run(
        [sys.executable, "-m", "mainstay", "keys", "rotate", "--lead", str(LEAD), "--format", "json"],
        cwd=service.folder,
        env=service.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise Broken(f"mainstay keys rotate: {done.stderr}")
    return [key["kid"] for key in json.loads(done.stdout)["keys"]]


async def _drill(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    people = [Person(number, service.port) for number in range(PEOPLE)]
    for person in people:
        await person.enter()
    load = Load(people, chance)
    load.start()
    known: list[str] = []
    for _ in range(count):
        await asyncio.sleep(LEAD + 0.5 + chance.random())
        known = await asyncio.to_thread(_rotate, service)
    await asyncio.sleep(LEAD + ACCESS_SECONDS)
    await load.stop()
    for person in people:
        person.close()
    faults: dict[str, Any] = {"failed": dict(load.failed.most_common(6))} if load.failed else {}
    if tracebacks := service.tracebacks():
        faults["tracebacks"] = tracebacks[:2]
    unused = [kid for kid in known if kid not in load.keys]
    if unused:
        faults["never_signed"] = unused
    return faults, {
        "rotations": count,
        "requests": len(load.seconds),
        "refreshed": sum(load.keys.values()),
        "keys_that_signed": len(load.keys),
        "p99_ms": round(quantile(load.seconds, 0.99) * 1000, 1),
    }


def main(arguments: Sequence[str]) -> int:
    """Do the drill and say what was found."""
    options = parse(arguments, __doc__)
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        service = Service(folder, workers=2, package=options.package)
        (folder / "mainstay.toml").write_text(SETTINGS.format(port=service.port))
        (folder / "signing.py").write_text(SIGNING)
        shutil.copy(PLUGINS / "logged_in.py", folder)
        try:
            service.start()
            faults, figures = asyncio.run(_drill(service, options.count, random.Random(options.seed)))
        finally:
            service.end()
    return verdict(faults, **figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
