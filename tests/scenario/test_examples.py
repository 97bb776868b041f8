"""The examples' own tests pass, run as a team runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["shop", "shipping"])
def test_an_examples_own_tests_pass(pytestconfig: pytest.Config, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3*", ".mainstay", ".pytest_cache")
    shutil.copytree(pytestconfig.rootpath / "examples" / name, folder, ignore=ignored)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "MAINSTAY_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        str(tmp_path / "tmp"),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
