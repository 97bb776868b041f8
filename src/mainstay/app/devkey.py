"""The keys of one clone for development: made on first use, outside version control, never good for production."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import msgspec

from mainstay.app.settings import DEVELOPMENT_MARK, SettingFault, SettingsRefused
from mainstay.model.values import Secret

FILE = "dev-key.json"
ISSUER = "mainstay-development"
AUDIENCE = "mainstay-development"
KEY_ID = "development"
TOKEN_HOURS = 12
_KIND = "mainstay development keys"
_LAX = stat.S_IRWXG | stat.S_IRWXO


class DevelopmentKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signs tokens and seals cursors on one machine. Both secrets carry the mark that production refuses."""

    kind: str
    signing: str
    sealing: str

    def __repr__(self) -> str:
        return "<DevelopmentKeys>"

    @property
    def signing_secret(self) -> Secret[str]:
        """The shared secret of HS256."""
        return Secret(self.signing)

    @property
    def sealing_secret(self) -> Secret[str]:
        """The secret of cursors."""
        return Secret(self.sealing)


def ensure_state(state: Path) -> None:
    """Make the folder of what belongs to one clone: mode 0700, and ignored by git from inside."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(state.stat().st_mode) & _LAX:
        state.chmod(0o700)
    ignore = state / ".gitignore"
    if not ignore.exists():
        _publish(ignore, b"# what belongs to this clone only\n*\n", 0o644)


def ensure_keys(state: Path) -> DevelopmentKeys:
    """Return the keys of a clone, made now where there are none. Any number of processes may do so at once.

    Raises ``SettingsRefused`` where the file is there and cannot be used.
    """
    ensure_state(state)
    path = state / FILE
    if not path.exists():
        keys = DevelopmentKeys(_KIND, *(DEVELOPMENT_MARK + secrets.token_urlsafe(32) for _ in range(2)))
        _publish(path, msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n", 0o600)
    return read_keys(state)


def read_keys(state: Path) -> DevelopmentKeys:
    """Return the keys that are there. Raises ``SettingsRefused`` for a file that is no use, or that others may read."""
    path = state / FILE
    remedy = f"remove {path}: a new one is made, and tokens made before are void"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        keys = msgspec.json.decode(path.read_bytes(), type=DevelopmentKeys)
    except OSError as error:
        raise _refused(path, f"it cannot be read: {os.strerror(error.errno or 0)}", remedy) from None
    except msgspec.DecodeError:
        raise _refused(path, "it holds no development keys", remedy) from None
    if mode & _LAX:
        raise _refused(path, f"its mode is {mode:04o}: others may read it", f"chmod 600 {path}")
    if keys.kind != _KIND or not all(value.startswith(DEVELOPMENT_MARK) for value in (keys.signing, keys.sealing)):
        raise _refused(path, "it holds no development keys", remedy)
    return keys


def _refused(path: Path, problem: str, remedy: str) -> SettingsRefused:
    return SettingsRefused([SettingFault("development keys", str(path), problem, remedy)], "development")


def _publish(path: Path, data: bytes, mode: int) -> None:
    """Let a file appear whole and durable, or leave the one that another process was first with."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
