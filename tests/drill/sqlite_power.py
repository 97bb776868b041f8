"""Cut the power of a simulated disk at random moments, and look for acknowledged changes that are gone.

kill -9 cannot see a missing sync, for the kernel still has the pages. Here a VFS keeps, beside each real file, what a
disk would hold: what was written before the file's last sync, and of the later writes any part, in any order, torn at
sectors. A crash is such a disk, opened anew. The VFS also notes the order of events, and every acknowledgement must
have a write of the log, and after it a sync, between the call's end and itself.

    python tests/drill/sqlite_power.py --count 50 --seed 7

Prints one JSON line; exit code 1 when anything was lost or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
Change = Callable[[bytearray], None]


class Disk:
    """What survives: the synced bytes of each file, and the changes since, of which anything may survive."""

    def __init__(self, chance: random.Random) -> None:
        self.lock = threading.RLock()
        self.events: list[tuple[str, str]] = []
        self._chance = chance
        self._synced: dict[str, bytearray] = {}
        self._pending: dict[str, list[Change]] = {}

    def note(self, event: str, subject: str) -> None:
        with self.lock:
            self.events.append((event, subject))

    def change(self, path: str, change: Change) -> None:
        with self.lock:
            self._pending.setdefault(path, []).append(change)

    def sync(self, path: str) -> None:
        with self.lock:
            image = self._synced.setdefault(path, bytearray())
            for change in self._pending.pop(path, []):
                change(image)

    def delete(self, path: str) -> None:
        with self.lock:
            self._synced.pop(path, None)
            self._pending.pop(path, None)

    def crash(self, directory: Path) -> None:
        """Write out one of the states that a loss of power now may leave."""
        with self.lock:
            share = self._chance.choice((0.0, 0.5, 0.9, 1.0))
            for path in self._synced.keys() | self._pending.keys():
                image = bytearray(self._synced.get(path, b""))
                for change in self._pending.get(path, []):
                    if self._chance.random() < share:
                        change(image)
                (directory / Path(path).name).write_bytes(image)

    def sectors(self, data: bytes, offset: int) -> list[Change]:
        """Split a write at sectors, each of which may survive alone."""
        changes, at = [], 0
        while at < len(data):
            end = min(len(data), at + SECTOR - (offset + at) % SECTOR)
            changes.append(_overwrite(data[at:end], offset + at))
            at = end
        return changes


def _overwrite(data: bytes, offset: int) -> Change:
    def change(image: bytearray) -> None:
        if len(image) < offset:
            image.extend(bytes(offset - len(image)))
        image[offset : offset + len(data)] = data

    return change


def _cut(size: int) -> Change:
    def change(image: bytearray) -> None:
        del image[size:]

    return change


class DiskFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path: str | None = path or None
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        if self._path is not None:
            self._disk.note("write", self._path)
            for change in self._disk.sectors(bytes(data), offset):
                self._disk.change(self._path, change)

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        if self._path is not None:
            self._disk.change(self._path, _cut(size))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if self._path is not None:
            self._disk.sync(self._path)
            self._disk.note("sync", self._path)


class DiskVfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:
        return DiskFile(name, flags, self._disk)

    def xDelete(self, path: str, sync: bool) -> None:
        super().xDelete(path, sync)
        self._disk.delete(path)


class Drill:
    """One engine on one disk, under load, with the power cut ``count`` times."""

    def __init__(self, count: int, seed: int, synchronous: Any, directory: Path) -> None:
        self._chance = random.Random(seed)
        self._disk = Disk(self._chance)
        self._count = count
        self._synchronous = synchronous
        self._directory = directory
        self._kept: set[int] = set()
        self._crashes: list[tuple[Path, set[int]]] = []
        self._next = 0

    async def load(self) -> None:
        """Write until the power has been cut often enough; the crashes are looked at afterwards."""
        from mainstay.adapters.sql.sqlite import SqliteEngine

        vfs = DiskVfs("disk", self._disk)
        engine = SqliteEngine(
            self._directory / "db", vfs="disk", synchronous=self._synchronous, wal_limit_bytes=1024 * 1024
        )
        await engine.start()
        try:
            turn: Any = await engine.turn()  # type: ignore[misc]  # no group is open yet
            turn.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, data BLOB)")
            turn.execute("CREATE TABLE total (n INTEGER)")
            turn.execute("INSERT INTO total VALUES (0)")
            await turn.commit()
            await asyncio.gather(*(self._worker(engine) for _ in range(16)))
        finally:
            await engine.stop()
            vfs.unregister()

    async def _worker(self, engine: Any) -> None:
        while len(self._crashes) < self._count:
            self._next += 1
            number = self._next
            turn = engine.turn()
            if not hasattr(turn, "execute"):
                turn = await turn
            turn.execute("INSERT INTO entry VALUES (?, randomblob(?))", (number, self._chance.randrange(6000)))
            turn.execute("UPDATE total SET n = n + 1")
            done = turn.commit()
            self._disk.note("end", str(number))
            await done
            self._disk.note("answer", str(number))
            self._kept.add(number)
            if self._chance.random() < 0.05 and len(self._crashes) < self._count:
                self._crash()

    def _crash(self) -> None:
        directory = self._directory / f"crash{len(self._crashes)}"
        directory.mkdir()
        self._disk.crash(directory)
        self._crashes.append((directory, set(self._kept)))

    def faults(self) -> dict[str, Any]:
        """Look at every crash and at the order of events."""
        found: dict[str, Any] = {}
        for number, (directory, kept) in enumerate(self._crashes):
            if what := _look(directory / "db", kept):
                found = {"crash": number, **what}
                break
        if early := _answered_early(self._disk.events):
            found["answered_before_the_sync"] = early
        return found

    def facts(self) -> dict[str, Any]:
        events = [event for event, _ in self._disk.events]
        database = sum(event == ("sync", str(self._directory / "db")) for event in self._disk.events)
        return {
            "crashes": len(self._crashes),
            "answers": events.count("answer"),
            "syncs": events.count("sync"),
            "checkpoint_syncs": database,
        }


def _look(path: Path, kept: set[int]) -> dict[str, Any]:
    try:
        file = apsw.Connection(str(path))
        found = {row[0] for row in file.execute("SELECT id FROM entry")}
        ((total,),) = file.execute("SELECT n FROM total")
        (check,) = (row[0] for row in file.execute("PRAGMA integrity_check"))
        file.close()
    except apsw.Error as error:
        return {"damage": str(error)}
    if lost := sorted(kept - found):
        return {"lost": len(lost), "of": len(kept)}
    if total != len(found):
        return {"half_done": [total, len(found)]}
    return {} if check == "ok" else {"damage": check}


def _answered_early(events: list[tuple[str, str]]) -> list[str]:
    """Return the calls answered without a write of the log and a later sync of it since they ended."""
    ended: dict[str, int] = {}
    writes: list[int] = []
    last_synced_write = -1  # place of the newest write of the log that a sync has followed
    early = []
    for place, (event, subject) in enumerate(events):
        if event == "end":
            ended[subject] = place
        elif event == "write" and subject.endswith("-wal"):
            writes.append(place)
        elif event == "sync" and subject.endswith("-wal") and writes:
            last_synced_write = writes[-1]
        elif event == "answer" and last_synced_write < ended[subject]:
            early.append(subject)
    return early[:5]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=50, help="losses of power")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--synchronous", choices=("full", "normal", "off"), default="full")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        drill = Drill(given.count, given.seed, given.synchronous, Path(directory))
        asyncio.run(drill.load())
        faults = drill.faults()
    print(json.dumps({"ok": not faults, "seed": given.seed, **drill.facts(), **faults}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
