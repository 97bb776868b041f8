"""Send files of --count GB up and down, and watch that memory does not follow their size.

Each is sent as a form to a folder and as it is to the store of objects, and got back from both, whole and from its
middle; a stream of lines of the same size is read as well. What comes back must be what was sent, and the worker may
take at most 40 MB (``--limit``) more at its peak than it held before the first.

    scripts/drill transfer --count 5
"""

from __future__ import annotations

import hashlib
import http.client
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from served import HERE, Options, Service, parse, verdict

BLOCK = 1 << 20
BOUNDARY = "drill-b5f1"


def blocks(seed: int, count: int, first: int = 0) -> Iterator[bytes]:
    """Give the blocks of a file, each told by its number, without making them anew."""
    block = bytearray(random.Random(seed).randbytes(BLOCK))
    for number in range(first, count):
        block[:8] = number.to_bytes(8, "big")
        yield bytes(block)


def resident(pid: int) -> tuple[float, float]:
    """Return the megabytes that a process holds, and the most that it has held."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    facts = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return int(facts["VmRSS"].split()[0]) / 1024, int(facts["VmHWM"].split()[0]) / 1024


class Transfers:
    """One client, and what it found wrong."""

    def __init__(self, port: int, seed: int, megabytes: int) -> None:
        self.port = port
        self.seed = seed
        self.megabytes = megabytes
        self.size = megabytes * BLOCK
        self.wrong: list[str] = []

    def _open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def up(self, path: str, *, form: bool) -> None:
        """Send a file, in a form or as it is."""
        begin = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
        end = f"\r\n--{BOUNDARY}--\r\n".encode()
        extra = len(begin) + len(end) if form else 0

        def body() -> Iterator[bytes]:
            if form:
                yield begin
            yield from blocks(self.seed, self.megabytes)
            if form:
                yield end

        media = f"multipart/form-data; boundary={BOUNDARY}" if form else "application/octet-stream"
        connection = self._open()
        connection.request("POST", path, body(), {"Content-Type": media, "Content-Length": str(self.size + extra)})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200 or f'"size":{self.size}'.encode() not in said:
            self.wrong.append(f"POST {path}: {answer.status} {said[:200]!r}")
        connection.close()

    def down(self, path: str, first: int = 0) -> None:
        """Get a file back from its block ``first`` on, and compare it."""
        connection = self._open()
        connection.request("GET", path, headers={"Range": f"bytes={first * BLOCK}-"} if first else {})
        answer = connection.getresponse()
        got, sent = hashlib.blake2b(), hashlib.blake2b()
        for block in blocks(self.seed, self.megabytes, first):
            sent.update(block)
            got.update(answer.read(BLOCK))
        if answer.status != (206 if first else 200) or answer.read() or got.digest() != sent.digest():
            self.wrong.append(f"GET {path} from block {first}: {answer.status}, and not what was sent")
        connection.close()

    def lines(self) -> None:
        """Read a stream of about the same size."""
        count, got = self.size // 1030, 0
        connection = self._open()
        connection.request("GET", f"/lines?count={count}")
        answer = connection.getresponse()
        while part := answer.read(BLOCK):
            got += part.count(b"\n")
        if got != count:
            self.wrong.append(f"GET /lines: {got} of {count}")
        connection.close()


def run(service: Service, wanted: Options, megabytes: int) -> tuple[list[str], dict[str, Any]]:
    """Send and get everything, and return what was wrong and how fast it was."""
    speeds: dict[str, int] = {}
    small = Transfers(service.port, wanted.seed, 1)  # so that what is loaded at first use is there
    large = Transfers(service.port, wanted.seed, megabytes)
    pid = service.children()[0]
    before = 0.0
    for one in (small, large):
        work = {
            "up_form": lambda one=one: one.up("/files/a", form=True),
            "up_raw": lambda one=one: one.up("/objects/a", form=False),
            "down_file": lambda one=one: one.down("/files/a"),
            "down_object": lambda one=one: one.down("/objects/a"),
            "down_part": lambda one=one: one.down("/files/a", one.megabytes // 2),
            "lines": one.lines,
        }
        before = resident(pid)[1]
        for name, do in work.items():
            begun = time.monotonic()
            do()
            speeds[name] = int(one.megabytes / (time.monotonic() - begun))
    grown = resident(pid)[1] - before
    facts = {"megabytes": megabytes, "before": round(before, 1), "grown": round(grown, 1), "mb_per_second": speeds}
    return [*small.wrong, *large.wrong], facts


def main(arguments: Sequence[str]) -> int:
    """Transfer files of ``--count`` times ``--unit`` megabytes."""
    wanted = parse(arguments, __doc__, limit=40, unit=1024)
    megabytes = wanted.count * wanted.unit
    bound = str((megabytes + 1) * BLOCK)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        shutil.copy(HERE / "warehouse.py", folder)
        service = Service(
            Path(folder),
            package=wanted.package,
            MAINSTAY_SERVICE="warehouse:service",
            MAINSTAY_BLOBS_URL="file:///objects",
            MAINSTAY_HTTP_MAX_UPLOAD=bound,
            MAINSTAY_HTTP_SPOOL_FOLDER=folder,
        )
        try:
            service.start()
            wrong, facts = run(service, wanted, megabytes)
        finally:
            service.end()
    faults: dict[str, Any] = {"wrong": wrong} if wrong else {}
    if facts["grown"] > wanted.limit:
        faults["memory"] = [facts["grown"], wanted.limit]
    return verdict(faults, **facts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
