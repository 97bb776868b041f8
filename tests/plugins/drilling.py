"""Drills run by tests, on the package as it is or on a copy with a fault put in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mainstay

DRILLS = Path(__file__).parents[1] / "drill"

Patch = tuple[str, str, str]  # file of the package, text in it, text in its place


def drill(name: str, *options: str, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run a drill, on a changed package if one is given; return its exit code and what it said at the end.

    It is not measured what of the package the drill itself runs: what it drills has processes of its own.
    """
    given = () if package is None else ("--package", str(package))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, str(DRILLS / f"drill_{name}.py"), "--seed", "1", *options, *given],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # the machine may be busy with something else
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def changed(directory: Path, *patches: Patch) -> Path:
    """Copy the package with faults put in, and return the folder that holds the copy."""
    source = Path(mainstay.__file__).parent
    shutil.copytree(source, directory / "mainstay", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in patches:
        file = directory / "mainstay" / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times: bring this patch up to date"
        file.write_text(text.replace(old, new))
    return directory
