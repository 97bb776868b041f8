"""A contender that runs: its two processes, pinned to one core, what they used, and what is in its databases."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from bench import processes
from bench.events.contenders import Contender, Part, Place
from bench.processes import TICK, pins

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_SETTLE_SECONDS = 10.0
_IDLE = 4.0 / TICK  # processor seconds in a look of what has nothing left to do but to look whether it has
_LOOK = 0.25
_TAIL = 2000


class Running:
    """The processes of a contender. Each has its log in a file."""

    def __init__(self, contender: Contender, parts: list[Part], place: Place) -> None:
        self.contender = contender
        self.place = place
        self._parts = parts
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start them, the consumer first: its group is there before anything is published. Raises ``RuntimeError``."""
        for part in reversed(self._parts):
            with self._log(part.name).open("wb"):
                pass  # empty; appended to below, so that it can be emptied again while it is written
            with self._log(part.name).open("ab") as log:
                self._processes[part.name] = subprocess.Popen(
                    [*pins()[0], *part.command],
                    cwd=part.folder,
                    env={**os.environ, **part.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self._await(part)

    def _await(self, part: Part) -> None:
        """Wait until a process is ready."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready(part):
            if time.monotonic() > deadline or self._processes[part.name].poll() is not None:
                raise RuntimeError(f"{self.contender.name} does not come up:\n{self.said()}")
            time.sleep(0.1)

    def _is_ready(self, part: Part) -> bool:
        if part.ready:
            return part.ready in self._log(part.name).read_text(errors="replace")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.place.port}/hello", timeout=1).read()
        except (OSError, urllib.error.URLError):
            return False
        return True

    def stop(self) -> None:
        """End them by their process ids."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for part in self._parts:
            self._log(part.name).unlink(missing_ok=True)

    def said(self) -> str:
        """Return the ends of the logs."""
        logs = [(name, self._log(name).read_text(errors="replace")) for name in self._processes]
        return "\n".join(f"--- {name}\n{text[-_TAIL:]}" for name, text in logs)

    def cpu(self) -> float:
        """Return the processor seconds that they used so far, with those of all that they started."""
        return sum(processes.seconds(processes.tree(one.pid)) for one in self._processes.values())

    def settle(self) -> None:
        """Wait until they have nothing left to do, and empty the logs."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        used, now = -1.0, self.cpu()
        while now - used > _IDLE and time.monotonic() < deadline:
            time.sleep(_LOOK)
            used, now = now, self.cpu()
        for part in self._parts:
            os.truncate(self._log(part.name), 0)

    def effects(self) -> int:
        """Return how many effects there are. Raises ``Unfit`` where the database may lose a commit."""
        return self.place.shipping.counts(self.contender.tables[1])[0]

    def orders(self) -> dict[UUID, float]:
        """Return when each order was committed, by its id: seconds since 1970, by the clock of the server."""
        rows = asyncio.run(_moments(self.place.shop.told, "id", self.contender.tables[0]))
        return {row[0]: row[1] for row in rows}

    def done(self) -> list[tuple[UUID, float]]:
        """Return when the effects on orders were committed."""
        rows = asyncio.run(_moments(self.place.shipping.told, "order_id", self.contender.tables[1]))
        return [(row[0], row[1]) for row in rows]

    def _log(self, name: str) -> Path:
        return self.place.work / f"events-{self.contender.name}-{name}.log"


async def _moments(url: str, key: str, table: str) -> list[Any]:
    """Read keys with the moments of the commits that made their rows."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        moment = "extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
        found: list[Any] = await connection.fetch(f"SELECT {key}, {moment} FROM {table}")
        return found
    finally:
        await connection.close()
