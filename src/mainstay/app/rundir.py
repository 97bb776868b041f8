"""The run directory: where the workers of one supervisor meet. It is gone when the supervisor is."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path

PREFIX = "mainstay-run-"
_LOCK = "lock"
_LONGEST = 80  # a Unix socket's path has 107 bytes at most


class RunDirectory:
    """A folder of mode 0700 that is locked while its maker lives. What dead makers left behind is removed."""

    def __init__(self, base: Path | None = None) -> None:
        base = base or _base()
        _sweep(base)
        self.path: Path = base / f"{PREFIX}{os.getuid()}-{os.getpid()}-{secrets.token_hex(3)}"
        draft = self.path.with_name(f".{self.path.name}")  # not to be seen, and swept, before it is locked
        draft.mkdir(mode=0o700)
        self._lock = os.open(draft / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(self.path)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _base() -> Path:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if candidate and len(candidate) < _LONGEST - 40 and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return Path("/tmp")  # noqa: S108 - the folder made in it is this user's own, of mode 0700 and a random name


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}{os.getuid()}-*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # being made just now, or not ours
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its maker lives
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
