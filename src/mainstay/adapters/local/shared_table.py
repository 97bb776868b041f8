"""A table of counters in a mapped file, for the processes of one host.

The file is a header and stripes. A stripe is a lock, a hint, the hashes of its keys side by side (so that one search in
C finds a key) and a slot for each: the moment it is idle and 128 bits of state. A key belongs to the stripe that its
hash names. One stripe more, the last, is for what keys without a place share.

A process may be killed between any two instructions, so what may be there afterwards is stored a word of 64 bits at a
time, each by one assignment. ``struct.pack_into`` would not do: it clears its whole range before it writes.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstay.adapters.local.robust_lock import BYTES as LOCK_BYTES
from mainstay.adapters.local.robust_lock import RobustLocks

_MAGIC = b"mnstlim1"
_HEADER = struct.Struct("=8sII16s36s")  # magic, stripes, ways, salt, boot id
_HEADER_BYTES = 4096
_MAX_WAYS = 128
_KEY_BYTES = 8
_MISALIGNED = _KEY_BYTES - 1  # stripes begin at multiples of 64
_KEYS_AT = LOCK_BYTES * 2
_EMPTY = bytes(_KEY_BYTES)
_HINT = struct.Struct("@q")
_SLOT = struct.Struct("@qQQ")  # idle at, low and high half of the state
_SLOTS_TO_KEYS = _SLOT.size // _KEY_BYTES
_LOW = (1 << 64) - 1
_read_slot = _SLOT.unpack_from
_WORD_SHIFT = 3  # from bytes to words
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SharedTable:
    """The mapped file, opened or made.

    A file of another size, another form or another start of the host is replaced; a file that belongs to another user
    is refused with ``PermissionError``. Raises ``OSError`` where it cannot be made.
    """

    def __init__(self, path: Path, max_keys: int) -> None:
        self.ways = min(max_keys, _MAX_WAYS)
        self.stripes = -(-max_keys // self.ways)
        self._slots_at = _KEYS_AT + self.ways * _KEY_BYTES
        self.stripe_bytes = -(-(self._slots_at + self.ways * _SLOT.size) // LOCK_BYTES) * LOCK_BYTES
        self._size = _HEADER_BYTES + (self.stripes + 1) * self.stripe_bytes
        self._idle_times = struct.Struct("@" + "q16x" * self.ways)
        self.locks = RobustLocks()
        with _exclusive(path):
            self._map, self.salt = self._open(path) or self._make(path)
        self.address = _address(self._map)
        self.overflow = self.at(self.stripes)
        self._find = self._map.find
        self._words = memoryview(self._map).cast("Q")

    def close(self) -> None:
        """Unmap the file. The table must not be used afterwards."""
        self._words.release()
        self._map.close()

    def at(self, stripe: int) -> int:
        """Return the offset of a stripe."""
        return _HEADER_BYTES + stripe * self.stripe_bytes

    def find(self, stripe: int, key: bytes) -> int:
        """Return the offset of the slot of ``key`` in the stripe at ``stripe``, or -1."""
        start = stripe + _KEYS_AT
        end = stripe + self._slots_at
        found = self._find(key, start, end)
        while found & _MISALIGNED and found >= 0:
            found = self._find(key, found + 1, end)
        return -1 if found < 0 else end + (found - start) * _SLOTS_TO_KEYS

    def place(self, stripe: int, now: int) -> int:
        """Return the offset of an empty slot, or else of one that is idle at ``now``, or -1."""
        empty = self.find(stripe, _EMPTY)
        if empty >= 0:
            return empty
        (none_before,) = _HINT.unpack_from(self._map, stripe + LOCK_BYTES)
        if none_before > now:
            return -1
        idle_times = self._idle_times.unpack_from(self._map, stripe + self._slots_at)
        earliest = min(idle_times)
        if earliest > now:
            self._words[(stripe + LOCK_BYTES) >> _WORD_SHIFT] = earliest
            return -1
        return self.slot(stripe, idle_times.index(earliest))

    def seat(self, stripe: int, slot: int, key: bytes) -> None:
        """Give the slot to ``key``."""
        self.write(slot, 0, 0)
        place = (slot - stripe - self._slots_at) // _SLOT.size * _KEY_BYTES + stripe + _KEYS_AT
        self._map[place : place + _KEY_BYTES] = key
        self._words[(stripe + LOCK_BYTES) >> _WORD_SHIFT] = 0

    def slot(self, stripe: int, way: int) -> int:
        """Return the offset of a slot by its number in the stripe."""
        return stripe + self._slots_at + way * _SLOT.size

    def read(self, slot: int) -> int:
        """Return the state in the slot."""
        _, low, high = _read_slot(self._map, slot)
        return high << 64 | low if high else low  # type: ignore[no-any-return]  # the struct says that they are int

    def write(self, slot: int, state: int, idle_at: int) -> None:
        """Store the state, and the moment from which the slot may be given away.

        Whoever is killed in between leaves a slot that is kept for longer, or a count that is too strict, never one
        that is short: a window that is entered (the high half) still has the calls of the one before.
        """
        words, at = self._words, slot >> _WORD_SHIFT
        words[at] = idle_at
        words[at + 2] = state >> 64
        words[at + 1] = state & _LOW

    def _open(self, path: Path) -> tuple[mmap.mmap, bytes] | None:
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(file)
            if status.st_uid != os.geteuid():
                raise PermissionError(f"{path} belongs to another user: remove it or name another file")
            if status.st_size != self._size:
                return None
            mapped = mmap.mmap(file, self._size)
        finally:
            os.close(file)
        magic, stripes, ways, salt, boot = _HEADER.unpack_from(mapped)
        if (magic, stripes, ways, boot) == (_MAGIC, self.stripes, self.ways, _boot_id()):
            return mapped, salt
        mapped.close()
        return None

    def _make(self, path: Path) -> tuple[mmap.mmap, bytes]:
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, self._size)  # a full disk must fail here, not as a SIGBUS later
            mapped = mmap.mmap(file, self._size)
            salt = secrets.token_bytes(16)
            first = _address(mapped) + _HEADER_BYTES
            self.locks.initialise(range(first, first + (self.stripes + 1) * self.stripe_bytes, self.stripe_bytes))
            _HEADER.pack_into(mapped, 0, _MAGIC, self.stripes, self.ways, salt, _boot_id())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        return mapped, salt


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Keep two processes from making the file at the same time."""
    guard = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)


def _address(mapped: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapped))


def _boot_id() -> bytes:
    # Monotonic time and the owners of locks mean nothing after a new start of the host.
    return _BOOT_ID.read_bytes().strip() if _BOOT_ID.exists() else bytes(36)
