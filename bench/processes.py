"""Processes as the system counts them: where they are pinned, what they started, what they used."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def pins() -> tuple[list[str], list[str]]:
    """Return the commands that pin a server to one core and the load to another, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return [], []
    return ["taskset", "-c", str(cores[0])], ["taskset", "-c", str(cores[1])]


_PORTS = (20_000, 32_000)  # below those that Linux gives to connections


def free_port() -> int:
    """Return a port of this machine that nobody uses, and that no connection is given before its server starts."""
    while True:
        port = random.randint(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def tree(root: int) -> list[int]:
    """Return a process and all that it started.

    All processes are looked through: a process's own list of its children leaves some out while another one ends.
    """
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children.setdefault(int(_fields(place)[1]), []).append(int(place.name))
    found, pending = [], [root]
    while pending:
        found.append(pending.pop())
        pending.extend(children.get(found[-1], ()))
    return found


def _fields(place: Path) -> list[str]:
    """Return what the system tells of a process, from its state on."""
    return (place / "stat").read_text().rpartition(")")[2].split()


def seconds(pids: Iterable[int]) -> float:
    """Return the processor seconds that processes used so far, with those of children that ended."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += sum(map(int, _fields(Path(f"/proc/{pid}"))[11:15])) / TICK
    return total
