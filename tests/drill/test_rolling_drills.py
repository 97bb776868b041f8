"""Restarts without a gap, in short, by each server; and the proof that the drill can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mainstay

HERE = Path(__file__).parent
HUNG_UP, HUNG_UP_SINGLE, HUNG_UP_GRANIAN, HUNG_UP_UVICORN, KEPT = range(6, 11)

Patch = tuple[str, str, str]  # file of the package, text in it, text in its place

NO_DRAIN: tuple[Patch, ...] = (
    (
        "inbound/http/server.py",
        "        if idle_seconds and await self._shared.emptied(min(idle_seconds, seconds)):\n",
        "        if False:\n",
    ),
    ("inbound/http/server.py", "self._shared.retire(RECENT)", "self._shared.abort()"),
)


def drill(part: int, count: int, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Do one part of the drill; return its exit code and what it said at the end."""
    given = () if package is None else ("--package", str(package))
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "drill_restart.py"),
            "--seed",
            "1",
            "--count",
            str(count),
            "--only",
            str(part),
            *given,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("part", "count"), [(HUNG_UP, 1), (HUNG_UP_SINGLE, 1), (HUNG_UP_GRANIAN, 1), (HUNG_UP_UVICORN, 1), (KEPT, 2)]
)
def test_no_request_fails_when_workers_are_followed_by_new_ones(part: int, count: int) -> None:
    code, told = drill(part, count)
    assert code == 0, told
    ((_, figures),) = told["parts"].items()
    assert figures["slow"] > 5
    assert figures["streams_ended"] >= 6


def test_the_drill_finds_workers_that_do_not_wait_for_their_calls(tmp_path: Path) -> None:
    source = Path(mainstay.__file__).parent
    shutil.copytree(source, tmp_path / "mainstay", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in NO_DRAIN:
        file = tmp_path / "mainstay" / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times: bring this patch up to date"
        file.write_text(text.replace(old, new))
    code, told = drill(HUNG_UP, 1, tmp_path)
    assert code == 1
    assert told["faults"]["hung_up"]["failed"][0] > 3, told
