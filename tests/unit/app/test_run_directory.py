"""Where workers meet: private, and gone when its maker is, however that ended."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from mainstay.app.rundir import RunDirectory


def test_it_is_private_and_goes_with_its_maker(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    (run.path / "worker-0.sock").touch()
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_that_of_a_killed_maker_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from mainstay.app.rundir import RunDirectory\n"
        "run = RunDirectory(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=30, check=False)
    assert killed.returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    first = RunDirectory(tmp_path)
    second = RunDirectory(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([first.path, second.path])
    first.close()
    second.close()


def test_a_socket_fits_into_it() -> None:
    run = RunDirectory()
    assert len(str(run.path / "worker-255.sock")) < 107
    run.close()
