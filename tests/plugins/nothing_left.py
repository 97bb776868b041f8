"""A whole run leaves nothing behind: no process, no thread, no temporary file, and in CI no file in the checkout."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MARK = "PYTEST_RUN_MARK"
PATIENCE_SECONDS = 3.0
EXEC_SECONDS = 0.5
PARENT = 1  # the field of /proc/PID/stat, counted from the state
OF_THE_KERNEL = ("0", "2")
OF_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@pytest.fixture(autouse=True, scope="session")
def _nothing_left(pytestconfig: pytest.Config) -> Iterator[None]:
    """Compare the machine before and after; the last test of the run is blamed, its message says for what."""
    outer = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="mt-"))
    mark = secrets.token_hex(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setenv("PYTEST_DEBUG_TEMPROOT", os.environ.get("PYTEST_DEBUG_TEMPROOT", outer))
        patch.setenv(MARK, mark)
        patch.setattr(tempfile, "tempdir", None)
        threads = set(threading.enumerate())
        files = _untracked(pytestconfig.rootpath)
        yield
        faults = _settle(threads, mark)
        faults += [f"temporary file {path.name}" for path in sorted(folder.iterdir())]
        faults += [f"file in the checkout {name}" for name in sorted(_untracked(pytestconfig.rootpath) - files)]
    shutil.rmtree(folder, ignore_errors=True)
    if faults:
        pytest.fail("the run left behind: " + "; ".join(faults), pytrace=False)


def _settle(threads: set[threading.Thread], mark: str) -> list[str]:
    """What is still there after a short grace: a thread may be on its last line, a process not yet reaped."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        faults = [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads]
        faults += [f"process {line}" for line in living_processes(mark)]
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(0.02)


def living_processes(mark: str) -> list[str]:
    """Processes below this one, and those anywhere that were started with the mark of this run."""
    parents: dict[int, int] = {}
    marked: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[PARENT])
            if fields[0] != "Z" and f"{MARK}={mark}".encode() in _environment(entry, fields):
                marked.add(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    below = {pid for pid in parents if _descends(pid, os.getpid(), parents)}
    lines = {pid: _command(pid) for pid in (below | (marked & parents.keys())) - {os.getpid()}}
    return [f"{pid} {line}" for pid, line in sorted(lines.items()) if line and not _is_of_python(line)]


def _environment(entry: Path, fields: list[str]) -> list[bytes]:
    """The variables of a process; one in the middle of its exec shows none for a moment and is looked at again."""
    deadline = time.monotonic() + EXEC_SECONDS
    while True:
        variables = (entry / "environ").read_bytes()
        ours_to_see = fields[PARENT] not in OF_THE_KERNEL and not (entry / "cmdline").read_bytes()
        if variables or not ours_to_see or time.monotonic() > deadline:
            return variables.split(b"\0")
        time.sleep(0.001)


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return line[:120] or "(in the middle of its exec)"


def _is_of_python(line: str) -> bool:
    return any(module in line for module in OF_PYTHON)


def _untracked(root: Path) -> set[str]:
    """Files of the checkout that git sees as changed or new; looked at in CI, where nobody edits meanwhile."""
    if os.environ.get("CI") != "true" or not (root / ".git").exists():
        return set()
    listing = subprocess.run(
        ["git", "status", "--porcelain", "-z", "--untracked-files=all"], cwd=root, capture_output=True, check=True
    )
    return set(listing.stdout.decode().split("\0"))
