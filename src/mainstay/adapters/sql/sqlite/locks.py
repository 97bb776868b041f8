"""Locks between processes, held on bytes of a side file and freed by the kernel when their holder dies.

Open file description locks (Linux, ``F_OFD_SETLK``) belong to the descriptor and so tell two engines of one process
apart; where they are missing, POSIX record locks are used, which only tell processes apart.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Final

_OFD_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_OFD_WAIT: Final[int | None] = getattr(fcntl, "F_OFD_SETLKW", None)
_FLOCK: Final = struct.Struct("@hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES})


class ByteLocks:
    """Exclusive locks on single bytes of one side file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Give up every lock and close the file; the file stays, since others may hold locks on it."""
        os.close(self._descriptor)

    def take(self, byte: int) -> None:
        """Lock one byte, waiting in the kernel until it is free."""
        if _OFD_WAIT is None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, byte)
        else:
            fcntl.fcntl(self._descriptor, _OFD_WAIT, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))

    def try_take(self, byte: int) -> bool:
        """Lock one byte if nobody holds it; say whether it is locked now."""
        try:
            if _OFD_SET is None:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            else:
                fcntl.fcntl(self._descriptor, _OFD_SET, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        return True

    def free(self, byte: int) -> None:
        """Unlock one byte."""
        if _OFD_SET is None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
        else:
            fcntl.fcntl(self._descriptor, _OFD_SET, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, byte, 1, 0))


class FileTurn:
    """The turn of one process to write, given in order among all processes of the host.

    Two locks make it fair. With one, a process that lets go and asks again at once wins over those that the kernel has
    yet to wake. Here the next one waits for the file while it holds the place in front, so the last holder has to stand
    behind it.
    """

    _FRONT = 0
    _FILE = 1

    def __init__(self, path: Path) -> None:
        self._locks = ByteLocks(path)

    def take(self) -> None:
        """Wait for the turn, without a bound: whoever must not wait that long watches from another thread."""
        self._locks.take(self._FRONT)
        try:
            self._locks.take(self._FILE)
        finally:
            self._locks.free(self._FRONT)

    def leave(self) -> None:
        """Let the next process write."""
        self._locks.free(self._FILE)

    def close(self) -> None:
        """Close the side file."""
        self._locks.close()


class Claims:
    """Names that one call at a time may hold, seen by all processes of the host that use this database file.

    A claim is a byte lock at a 63-bit hash of its key: nothing is written, nothing goes stale, and the kernel frees the
    claims of a process that dies. Two keys meet by chance once in 2**63 pairs; the second is then refused as if it were
    the first. A descriptor does not conflict with itself, so this process's own claims are kept in a set beside.
    """

    def __init__(self, path: Path) -> None:
        self._locks = ByteLocks(path)
        self._held: set[int] = set()

    def __len__(self) -> int:
        return len(self._held)

    def try_claim(self, key: bytes) -> bool:
        """Claim the key if no call of any process holds it; say whether it is ours now. Does not wait."""
        byte = _place(key)
        if byte in self._held or not self._locks.try_take(byte):
            return False
        self._held.add(byte)
        return True

    def release(self, key: bytes) -> None:
        """Give the key back. Raises ``KeyError`` where this engine does not hold it."""
        byte = _place(key)
        self._held.remove(byte)
        self._locks.free(byte)

    def close(self) -> None:
        """Give back all claims."""
        self._held.clear()
        self._locks.close()


def _place(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 1  # off_t has 63 bits
