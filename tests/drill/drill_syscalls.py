"""Watch the system calls of a served service: between a request and its acknowledgement stands a sync of the log.

``kill -9`` cannot show a sync that is missing, because the system keeps what was written. strace does. The drill runs a
second time with ``synchronous = "off"``, to show that it would notice. Needs strace (apt-get install strace).

    scripts/drill syscalls --count 200 --seed 7
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from served import Connection, Service, parse, serving, verdict

CALLS = "fsync,fdatasync,read,recvfrom,write,writev,sendto,sendmsg"
SYNC = re.compile(r"f(?:data)?sync\(\d+<[^>]*-wal>\)?")
DONE = re.compile(r"= 0$")


def trace(pid: int, into: Path) -> subprocess.Popen[bytes]:
    """Begin to watch a process and its threads."""
    command = ["strace", "-f", "-y", "-s", "24", "-e", f"trace={CALLS}", "-o", str(into), "-p", str(pid)]
    watching = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert watching.stderr is not None
    watching.stderr.readline()  # "Process N attached": from here on it sees all
    time.sleep(0.2)
    return watching


async def write_entries(port: int, count: int, chance: random.Random) -> int:
    """Send so many commands, one after the other, and return how many were acknowledged."""
    connection = Connection(port)
    done = 0
    for number in range(count):
        body = {"mark": f"entry-{number}", "lane": chance.choice("0123"), "keyed": False}
        answer = await connection.request("POST", "/entries", body)
        done += answer.status == 201
    connection.close()
    return done


def judge(lines: Sequence[str]) -> tuple[int, int]:
    """Return how many acknowledgements there were, and how many without a sync since their request came."""
    acknowledged, bare = 0, 0
    synced, pending = False, set[str]()
    for line in lines:
        thread = line.split(" ", 1)[0]
        if '"POST /entries' in line:
            synced = False
        elif SYNC.search(line):
            if DONE.search(line):
                synced = True
            else:
                pending.add(thread)
        elif "sync resumed>" in line and thread in pending:
            pending.discard(thread)
            synced = synced or bool(DONE.search(line))
        elif '"HTTP/1.1 201' in line:
            acknowledged += 1
            bare += not synced
            synced = False
    return acknowledged, bare


def run(service: Service, count: int, seed: int) -> tuple[int, int, int]:
    """Return how many answers were 201, how many of them strace saw, and how many stood without a sync."""
    seen = service.folder / "calls.txt"
    watching = trace(service.pid, seen)
    try:
        done = asyncio.run(write_entries(service.port, count, random.Random(seed)))
    finally:
        watching.send_signal(signal.SIGINT)
        watching.wait(10)
    return done, *judge(seen.read_text(errors="replace").splitlines())


def main(arguments: Sequence[str]) -> int:
    """Watch ``--count`` commands."""
    wanted = parse(arguments, __doc__)
    if shutil.which("strace") is None:
        print("drill: strace is missing: apt-get install strace", file=sys.stderr)
        return 2
    with serving(package=wanted.package) as service:
        done, seen, bare = run(service, wanted.count, wanted.seed)
    with serving(package=wanted.package, MAINSTAY_DATABASE_SYNCHRONOUS="off") as service:
        _, _, noticed = run(service, min(wanted.count, 20), wanted.seed)
    faults: dict[str, Any] = {}
    if bare or seen != done or done != wanted.count:
        faults["wrong"] = f"{done} of {wanted.count} done, {seen} seen, {bare} acknowledged without a sync"
    if not noticed:
        faults["blind"] = "a service that does not sync was not noticed"
    return verdict(faults, seed=wanted.seed, acknowledged=seen, without_a_sync=bare, without_a_sync_when_off=noticed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
