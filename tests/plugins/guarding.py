"""Guards taken out of a copy of the tree, one at a time: the tests that are named for one must notice.

A guard is an entry of ``tests/drill/guards/*.toml``: ``name``, ``file``, the text ``old`` that is there exactly once,
what is ``new`` in its place, and the ``tests`` (files or test ids) each of which must fail then. All of them must pass
on the tree as it is. A change that keeps the tests from being collected proves nothing: it is told as broken.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COPIED = ("src", "tests", "examples", "scripts", "bench", "docs", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".mainstay", "*.sqlite*")
SECONDS = 300.0
SECONDS_A_TEST = 5.0  # beside that: all of them are run at once first
NO_FAILURE, FAILURES = 0, 1
KILLED, SURVIVED, BROKEN, STALE = "killed", "SURVIVED", "BROKEN", "STALE"


@dataclass(frozen=True)
class Guard:
    """One guard, how it is taken out, and who must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class Copy:
    """A copy of the tree in which files are changed and put back, each time with a time of its own.

    Python knows a compiled file by the second in which its source was changed.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self._second = 1_000_000_000
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=LEFT_OUT, symlinks=True)
            elif source.exists():
                shutil.copy(source, folder / name)
        if (root / ".venv").exists():
            (folder / ".venv").symlink_to((root / ".venv").resolve())

    def write(self, file: str, text: str) -> None:
        """Change a file."""
        path = self.folder / file
        path.write_text(text, encoding="utf-8")
        self._second += 1
        os.utime(path, (self._second, self._second))

    def run(self, tests: Sequence[str]) -> tuple[int, str]:
        """Run tests in the copy; return the exit code of pytest and what it said."""
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
        command += ["-p", "pytest_asyncio.plugin"]  # no other plugin: to load them takes longer than the tests
        command += ["--basetemp", str(self.folder / "temporary")]
        done = subprocess.run(
            [*command, *tests],
            cwd=self.folder,
            env={**_environ(), "PYTHONPATH": str(self.folder / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS + SECONDS_A_TEST * len(tests),
        )
        return done.returncode, done.stdout


def _environ() -> dict[str, str]:
    """Return what a run has from this process: nothing of a run of tests that it may be part of."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}


def guards_of(root: Path) -> list[Guard]:
    """Return all guards that are written down. Raises ``ValueError`` where two have one name."""
    found = [guard for path in sorted((root / "tests/drill/guards").glob("*.toml")) for guard in _read(path)]
    twice = [name for name, count in Counter(guard.name for guard in found).items() if count > 1]
    if twice:
        raise ValueError(f"guards of one name: {', '.join(twice)}")
    return found


def _read(path: Path) -> Iterator[Guard]:
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("guard", ()):
        yield Guard(entry["name"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))


def taken_out(text: str, guard: Guard) -> str | None:
    """Return the text of a file without the guard; None where the guard is not there exactly once."""
    return text.replace(guard.old, guard.new) if text.count(guard.old) == 1 and guard.old != guard.new else None


def judge(copy: Copy, guard: Guard) -> tuple[str, str]:
    """Take a guard out and put it back. Return the verdict, and what there is to say of it."""
    path = copy.folder / guard.file
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    without = taken_out(before, guard)
    if without is None:
        return STALE, f"the guard is {before.count(guard.old)} times in {guard.file}: bring the entry up to date"
    copy.write(guard.file, without)
    try:
        code, said = copy.run(guard.tests)
    except subprocess.TimeoutExpired:
        return BROKEN, f"no end in {SECONDS:.0f} s"
    finally:
        copy.write(guard.file, before)
    failed = [line.split()[1] for line in said.splitlines() if line.startswith("FAILED ")]
    if code not in (NO_FAILURE, FAILURES) or (code == FAILURES and not failed):
        return BROKEN, (said.strip().splitlines() or ["it said nothing"])[-1]
    unmoved = [test for test in guard.tests if not any(_is_of(one, test) for one in failed)]
    return (SURVIVED, f"not noticed by {', '.join(unmoved)}") if unmoved else (KILLED, f"{len(failed)} failed")


def _is_of(failed: str, test: str) -> bool:
    return failed == test or failed.startswith((f"{test}::", f"{test}["))


def drawn(guards: Sequence[Guard], count: int, seed: int) -> list[Guard]:
    """Return so many guards, as the seed has it."""
    return [guards[at] for at in sorted(random.Random(seed).sample(range(len(guards)), min(count, len(guards))))]


def report(copy: Copy, guards: Sequence[Guard]) -> int:
    """Run the tests on the tree as it is, then judge each guard. Return the exit code."""
    tests = sorted({test for guard in guards for test in guard.tests})
    code, said = copy.run(tests)
    if code != NO_FAILURE:
        print(said)
        print("the tests do not pass on the tree as it is")
        return 1
    bad = 0
    for guard in guards:
        verdict, why = judge(copy, guard)
        bad += verdict != KILLED
        print(f"{verdict:9} {guard.name:44} {guard.file.removeprefix('src/mainstay/'):40} {why}", flush=True)
    print(f"{len(guards) - bad} of {len(guards)} guards are missed when they are taken out")
    return int(bad > 0)
