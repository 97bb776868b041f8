"""Make `.venv` what uv.lock says, on a machine that has Python and nothing else.

    python3 scripts/lib/bootstrap.py [GROUP ...]

uv does the work: the one on PATH when it is not older than the locked one, else the locked one, fetched and checked
against its hash. pip, ensurepip, curl and root are not needed. A second run costs a few milliseconds; two at once
wait for each other; one that was killed is made good by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from index import SetupError, fetch, has_own_index, uv_environment

ROOT = Path(__file__).resolve().parents[2]


def main(groups: list[str]) -> int:
    """Bring the environment up to date and answer an exit code."""
    try:
        if not Environment(ROOT).is_current(groups):
            with _alone(ROOT / ".mainstay"):
                environment = Environment(ROOT)  # another process may have finished it while this one waited
                if not environment.is_current(groups):
                    environment.make(groups)
    except SetupError as fault:
        print(f"set-up failed: {fault}", file=sys.stderr)
        return 1
    except PermissionError as fault:
        print(f"set-up failed: {fault.filename} may not be written: is the checkout yours?", file=sys.stderr)
        return 1
    except OSError as fault:
        print(f"set-up failed: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the right to change the environment; the system gives it back however the process ends.

    uv inherits it: where this process is killed and uv is not, the next set-up waits for that uv.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up to finish", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        yield


class Environment:
    """The virtual environment of one checkout, and the stamp that says what it was made from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.state = root / ".mainstay"
        self.unfinished = self.state / "setup.unfinished"
        self._stamp_file = self.folder / "mainstay-setup.json"
        self._stamp: dict[str, Any] = self._read_stamp()

    def _read_stamp(self) -> dict[str, Any]:
        try:
            stamp = json.loads(self._stamp_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _source(self) -> str:
        digest = hashlib.sha256(
            str(self.root).encode()
        )  # scripts in .venv hold its path: a moved checkout needs new ones
        for name in ("uv.lock", "pyproject.toml"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def is_current(self, groups: list[str]) -> bool:
        """Whether nothing is to be done for these dependency groups."""
        return (
            self._stamp.get("source") == self._source()
            and set(groups) <= set(self._stamp.get("groups", ()))
            and (self.folder / "bin/python").exists()  # false for a link to a Python that an upgrade took away
            and not self.unfinished.exists()
        )

    def make(self, groups: list[str]) -> None:
        """Create or update the environment; its earlier groups are kept."""
        ours = bool(self._stamp)
        wanted = sorted({*groups, *self._stamp.get("groups", ())})
        self._drop_if_spoilt()
        fresh = not self.folder.exists()
        print(f"{'making' if fresh else 'updating'} .venv from uv.lock", file=sys.stderr)
        environ = _environ(self.state)
        uv = find_uv(self.root, self.state, environ)
        source = self._source()
        self.unfinished.touch()
        self._stamp_file.unlink(missing_ok=True)
        try:
            if fresh:
                _call(uv, ["venv", "--quiet", "--python", sys.executable, str(self.folder)], self.root, environ)
            selection = ["--frozen", "--no-default-groups", *(f"--group={group}" for group in wanted)]
            if has_own_index(environ):
                self._install_from_index(uv, selection, environ)
            else:
                exactness = [] if ours or fresh else ["--inexact"]
                _call(uv, ["sync", *selection, *exactness, *_quietness()], self.root, environ)
        except SetupError:
            self.unfinished.unlink()  # uv ended by itself and left no half-written package
            raise
        _write(self._stamp_file, json.dumps({"source": source, "root": str(self.root), "groups": wanted}))
        self.unfinished.unlink()

    def _drop_if_spoilt(self) -> None:
        """Remove an environment that a kill cut short, that was made elsewhere, or whose Python is gone."""
        made_here = not self._stamp or self._stamp.get("root") in {None, str(self.root)}
        whole = (self.folder / "bin/python").exists() and made_here and not self.unfinished.exists()
        if self.folder.exists() and not whole:
            print("the environment is broken or unfinished: making it anew", file=sys.stderr)
            shutil.rmtree(self.folder)

    def _install_from_index(self, uv: str, selection: list[str], environ: Mapping[str, str]) -> None:
        """Install the locked versions from the machine's own index.

        `uv sync --frozen` fetches from the addresses in the lock file whatever index is set, so behind a mirror the
        lock is turned into a list with hashes: other bytes than the locked ones are still refused.
        """
        listing = str(self.state / "requirements.txt")
        python = ["--python", str(self.folder / "bin/python")]
        source = ["--no-index"] if environ.get("PIP_NO_INDEX") else []
        _call(uv, ["export", *selection, "--no-emit-project", "--quiet", "-o", listing], self.root, environ)
        _call(uv, ["pip", "sync", "--require-hashes", *python, *source, *_quietness(), listing], self.root, environ)
        _call(
            uv, ["pip", "install", "--no-deps", *python, *source, *_quietness(), "--editable", "."], self.root, environ
        )


def _environ(state: Path) -> dict[str, str]:
    environ = uv_environment(os.environ)
    os.environ.update({name: environ[name] for name in ("HTTP_PROXY", "HTTPS_PROXY") if name in environ})  # for urllib
    environ["UV_PYTHON_DOWNLOADS"] = "never"
    environ["UV_PROJECT_ENVIRONMENT"] = ".venv"
    for name in ("VIRTUAL_ENV", "UV_PYTHON", "UV_FROZEN", "UV_LOCKED", "PYTHONPATH", "PYTHONHOME"):
        environ.pop(name, None)
    home = environ.get("HOME")
    if not (environ.get("UV_CACHE_DIR") or environ.get("XDG_CACHE_HOME") or (home and os.access(home, os.W_OK))):
        environ["UV_CACHE_DIR"] = str(state / "cache")
    return environ


def _quietness() -> list[str]:
    return [] if sys.stderr.isatty() else ["--quiet"]


def _call(uv: str, arguments: list[str], cwd: Path, environ: Mapping[str, str]) -> None:
    command = [uv, *arguments]
    ended = subprocess.run(command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, close_fds=False, check=False)
    if ended.returncode < 0:
        raise KeyboardInterrupt  # killed half-way: the mark of an unfinished set-up must stay
    if ended.returncode:
        raise SetupError(f"`uv {arguments[0]}` ended with {ended.returncode}; its message is above")


def find_uv(root: Path, state: Path, environ: Mapping[str, str]) -> str:
    """The path of a uv that is not older than the locked one, fetched when the machine has none."""
    with (root / "uv.lock").open("rb") as lock:
        package = next((entry for entry in tomllib.load(lock)["package"] if entry["name"] == "uv"), None)
    if package is None:
        raise SetupError("uv.lock does not name uv: add it to the dev group")
    kept = state / "tool" / f"uv-{package['version']}"
    if (on_path := shutil.which("uv")) and _version(on_path) >= _numbers(package["version"]):
        return on_path
    if not kept.exists():
        print(f"fetching uv {package['version']}", file=sys.stderr)
        _unpack(package, kept, environ)
    return str(kept)


def _unpack(package: Mapping[str, Any], kept: Path, environ: Mapping[str, str]) -> None:
    wheel = _wheel(package)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        archive = Path(folder) / "uv.whl"
        fetch(wheel, archive, environ)
        with zipfile.ZipFile(archive) as members:
            name = next(name for name in members.namelist() if name.endswith(".data/scripts/uv"))
            binary = Path(folder) / "uv"
            binary.write_bytes(members.read(name))
        binary.chmod(0o755)
        binary.replace(kept)


def _wheel(package: Mapping[str, Any]) -> Mapping[str, str]:
    """The wheel of this machine, by the platform tags in its name (PEP 427, PEP 600, PEP 656)."""
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    family = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    if sys.platform == "darwin":
        machine, family = machine.replace("aarch64", "arm64"), "macosx"
    for wheel in package["wheels"]:
        tags = wheel["url"].removesuffix(".whl").rpartition("-")[2].split(".")
        if any(tag.startswith(f"{family}_") and tag.endswith(f"_{machine}") for tag in tags):
            return dict(wheel)
    raise SetupError(f"there is no uv for {sys.platform} on {machine} in the lock file: install uv yourself")


def _version(uv: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\d+(\.\d+)+", said)
    return _numbers(found[0]) if found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _write(path: Path, text: str) -> None:
    """Replace a file whole, or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
