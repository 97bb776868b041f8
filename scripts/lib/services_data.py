"""The folder where a service keeps its data, and the account that it runs as.

It lies under the system's temporary folder: an account without rights must reach it, also where the checkout lies
under a folder that is closed to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from services_run import ServiceError

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class DataFolder:
    """A folder of one service of one checkout, closed to everybody else."""

    path: Path

    @classmethod
    def of(cls, state: Path) -> DataFolder:
        """The folder that belongs to a state folder, wherever this is called from."""
        digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
        return cls(Path(tempfile.gettempdir()) / f"mainstay-{digest}-{state.name}")

    def make(self, user: str, files: Mapping[str, str]) -> None:
        """Create it with these files, all of them the account's own."""
        account = _account(user)
        try:
            self.path.mkdir(mode=0o700)
            for name, text in files.items():
                (self.path / name).write_text(text, encoding="utf-8")
            for path in (self.path, *self.path.iterdir()):
                if account:
                    os.chown(path, account.pw_uid, account.pw_gid)
        except OSError as fault:
            raise ServiceError(f"the data folder cannot be made: {fault}; is TMPDIR a folder to write to?") from None

    def entry(self, user: str) -> list[str]:
        """The words before a command with which it works in this folder, as the account when we are root."""
        account = _account(user)
        enter = ["env", f"--chdir={self.path}"]
        if account is None:
            return enter
        return [*enter, "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]

    def stands(self, user: str) -> bool:
        """Whether it is there, and ours."""
        try:
            owner = self.path.lstat().st_uid
        except FileNotFoundError:
            return False
        account = _account(user)
        if owner not in {os.geteuid(), account.pw_uid if account else os.geteuid()}:
            raise ServiceError(f"{self.path} belongs to somebody else: remove it, or set TMPDIR")
        return True

    def remove(self) -> None:
        """Remove it, and before that the processes that a killed service has left in it."""
        deadline = time.monotonic() + STOP_SECONDS
        while inhabitants := list(self._inhabitants()):
            if time.monotonic() > deadline:
                raise ServiceError(f"processes {inhabitants} in {self.path} do not stop: end them by hand")
            for pid in inhabitants:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        try:
            shutil.rmtree(self.path)
        except OSError as fault:
            raise ServiceError(f"{self.path} cannot be removed: {fault}; remove it by hand") from None

    def _inhabitants(self) -> Iterator[int]:
        """Processes that work in it. Children of a database leave its process group, and so outlive its SIGKILL."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink().is_relative_to(self.path):
                    yield int(entry.name)


def _account(user: str) -> pwd.struct_passwd | None:
    """Whom to run as, or None for whoever calls: only root can and must give its rights away."""
    if not user or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise ServiceError(f"there is no account {user}: install the service's package, which brings it") from None
