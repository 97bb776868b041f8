"""scripts/drill finds a drill, gives it count and seed, and answers its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DRILL = '"""Break nothing."""\n\ndef main(arguments):\n    print("told", *arguments)\n    return 3\n'

UNTIL_TOLD = '''"""Wait."""
import signal

def main(arguments):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    print("begun")
    signal.sigwait([signal.SIGTERM])
    print("ended")
    return 5
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tests/drill").mkdir(parents=True)
    (tmp_path / "tests/drill/drill_nothing.py").write_text(DRILL)
    return tmp_path


@pytest.fixture
def script(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "scripts/lib/drill.py"


def drill(script: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_drills_are_listed(script: Path, folder: Path) -> None:
    assert drill(script, folder).stdout == "nothing          Break nothing.\n"


def test_a_drill_is_run_and_its_output_kept(script: Path, folder: Path) -> None:
    ended = drill(script, folder, "nothing", "--count", "2", "--seed", "7", "--save", "--", "--fast")
    assert ended.returncode == 3
    said = "$ scripts/drill nothing --count 2 --seed 7 --fast\ntold --count 2 --seed 7 --fast\n"
    assert ended.stdout == said
    assert (folder / "docs/drills/nothing.txt").read_text() == said


def test_what_it_knows_beside_is_the_drills_own(script: Path, folder: Path) -> None:
    assert "told --seed 7 --only a" in drill(script, folder, "nothing", "--only", "a", "--seed", "7").stdout


def test_what_is_kept_has_the_name_that_was_given(script: Path, folder: Path) -> None:
    ended = drill(script, folder, "nothing", "--seed", "7", "--save", "nothing-else")
    assert (folder / "docs/drills/nothing-else.txt").read_text() == ended.stdout
    assert not (folder / "docs/drills/nothing.txt").exists()


def test_a_seed_is_drawn_and_shown(script: Path, folder: Path) -> None:
    assert "--seed " in drill(script, folder, "nothing").stdout.splitlines()[0]


def test_an_unknown_drill_is_refused(script: Path, folder: Path) -> None:
    ended = drill(script, folder, "other")
    assert ended.returncode == 2
    assert "no drill is called other" in ended.stderr


def test_a_drill_that_is_told_to_end_ends_before_it(script: Path, folder: Path) -> None:
    (folder / "tests/drill/drill_nothing.py").write_text(UNTIL_TOLD)
    command = [sys.executable, str(script), "nothing", "--save"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "begun" in [process.stdout.readline(), process.stdout.readline()][1]
        process.terminate()
        assert process.stdout.read() == "ended\n"
    assert process.returncode == 5
    assert (folder / "docs/drills/nothing.txt").read_text().endswith("begun\nended\n")
