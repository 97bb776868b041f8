"""When callers have written last, in a mapped table of moments for all worker processes of a host.

A caller's place is named by a hash. Who shares it with another is taken to have written when the other did, and reads
from the primary for a moment: no entry is ever looked for, moved or forgotten, and no lock is taken.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from mainstay.model.principal import Principal
from mainstay.ports.recent_writes import RecentWrites

PLACES = 1 << 16
MARGIN = 10_000_000
"""Nanoseconds that a moment is stored ahead: whoever overwrites another within it stores a later one than that."""

_BYTES = 8
_SECOND = 1_000_000_000


class MappedRecentWrites(RecentWrites):
    """A table of 512 KiB; without a ``path`` it is this process's own.

    ``monotonic`` gives seconds, and must be the same clock in all processes, as it is on Linux. Raises ``OSError``
    where the file cannot be made.
    """

    def __init__(self, monotonic: Callable[[], float], path: Path | None = None) -> None:
        self._monotonic = monotonic
        self._words = memoryview(_mapped(path)).cast("q")

    def note(self, who: Principal) -> None:
        place = _place(who)
        late = True
        while late:  # it was stopped between the look at the clock and the store: what it overwrote may be later
            now = int(self._monotonic() * _SECOND)
            self._words[place] = now + MARGIN  # one word, by one assignment
            late = int(self._monotonic() * _SECOND) - now >= MARGIN

    def last(self, who: Principal) -> float:
        stored = self._words[_place(who)]
        return stored / _SECOND if stored else -1.0


def _place(who: Principal) -> int:
    """Return the place of a caller: the same in every process, unlike the hash of a text."""
    tenant = 0 if who.tenant is None else crc32(who.tenant.encode("utf-8", "surrogatepass"))
    return hash((who.id.int, tenant)) % PLACES


def _mapped(path: Path | None) -> mmap.mmap:
    size = PLACES * _BYTES
    if path is None:
        return mmap.mmap(-1, size)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)  # a full disk must fail here, not as a SIGBUS later
        return mmap.mmap(file, size)
    finally:
        os.close(file)
