"""Drills run by tests, on the package as it is or on a copy with a fault put in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mainstay

DRILLS = Path(__file__).parents[1] / "drill"
SECONDS = 600  # the machine may be busy with something else
ENDING_SECONDS = 60

Patch = tuple[str, str, str]  # file of the package, text in it, text in its place


def drill(name: str, *options: str, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run a drill, on a changed package if one is given; return its exit code and what it said at the end.

    It is not measured what of the package the drill itself runs: what it drills has processes of its own.
    """
    given = () if package is None else ("--package", str(package))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(
        [sys.executable, str(DRILLS / f"drill_{name}.py"), "--seed", "1", *options, *given],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said, complained = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # it may have something to end itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_SECONDS)
            raise
        finally:
            process.kill()
    assert said, complained
    return process.returncode, json.loads(said.splitlines()[-1])


def changed(directory: Path, *patches: Patch, source: Path | None = None) -> Path:
    """Copy the package, or the one in ``source``, with faults put in, and return the folder that holds the copy."""
    package = Path(mainstay.__file__).parent if source is None else source / "mainstay"
    shutil.copytree(package, directory / "mainstay", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in patches:
        file = directory / "mainstay" / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times: bring this patch up to date"
        file.write_text(text.replace(old, new))
    return directory
