"""What a process holds, looked at from outside, and whether it stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple


class Held(NamedTuple):
    """What one process holds at one moment: memory in MB (10**6 bytes), counts of the rest.

    ``own`` is anonymous memory, which no file stands behind: what a leak makes grow. Pages of files are in ``resident``
    too; which of them are private depends on who else has them mapped just now.
    """

    own: float
    resident: float
    descriptors: int
    threads: int


def held(pid: int) -> Held:
    """Look at a process. Raises ``OSError`` where it is no more."""
    memory: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0]) * 1024
    status = Path(f"/proc/{pid}/status").read_text()
    return Held(
        memory["Anonymous"] / 1e6,
        memory["Rss"] / 1e6,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status.partition("Threads:")[2].split()[0]),
    )


def growths(samples: Sequence[Mapping[str, float]], warm: float) -> dict[str, float]:
    """Return by how much each figure grew: the median of the last fifth less that of the first, after the warm-up.

    ``warm`` is the part of the samples that is left out at the begin.
    """
    kept = samples[int(len(samples) * warm) :]
    fifth = max(1, len(kept) // 5)
    first, last = kept[:fifth], kept[-fifth:]
    return {name: median(each[name] for each in last) - median(each[name] for each in first) for name in kept[0]}
