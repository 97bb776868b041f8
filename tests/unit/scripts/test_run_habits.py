"""A run of the tests goes red for an unlisted skip, for what it leaves behind, and for a step outside this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["plugins"]
addopts = ["-p", "no:cacheprovider"]
[tool.mainstay.skips]
"test_it.py::test_listed" = "there is no such machine here"
"""


@pytest.fixture
def suite(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """A suite of its own, under the same plugins."""
    folder = tmp_path / "suite"
    plugins = pytestconfig.rootpath / "tests/plugins"
    shutil.copytree(plugins, folder / "plugins", ignore=shutil.ignore_patterns("__py*"))
    shutil.copy(pytestconfig.rootpath / "tests/conftest.py", folder)
    (folder / "pyproject.toml").write_text(SETTINGS)
    return folder


def run(suite: Path, test: str, *arguments: str, **variables: str) -> tuple[int, str]:
    (suite / "test_it.py").write_text(test)
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_"))}
    (suite / "tmp").mkdir(exist_ok=True)
    bare = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(suite / "tmp")}
    environ = {**outer, **bare, **variables}
    command = [sys.executable, "-m", "pytest", *arguments]
    ended = subprocess.run(command, cwd=suite, env=environ, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


SKIPS = "import pytest\n\ndef test_{}():\n    pytest.skip('not today')\n"
THREAD = (
    "import threading, time\n\ndef test_it():\n    threading.Thread(None, time.sleep, 'T', (6,), daemon=True).start()\n"
)
PROCESS = "import subprocess\n\ndef test_it():\n    subprocess.Popen(['sleep', '6'], start_new_session=True)\n"
ORPHAN = "import os\n\ndef test_it():\n    os.system('setsid sleep 6 >/dev/null 2>&1 &')\n"
TEMPORARY = "import tempfile\n\ndef test_it():\n    tempfile.mkstemp(prefix='forgotten')\n"
CHECKOUT = "def test_it():\n    open('forgotten.txt', 'w').close()\n"
CLEAN = "def test_it(tmp_path):\n    (tmp_path / 'a').write_text('a')\n"


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_a_clean_run_is_green(suite: Path, arguments: tuple[str, ...]) -> None:
    code, said = run(suite, CLEAN, *arguments)
    assert code == 0, said


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_an_unlisted_skip_is_red_and_named(suite: Path, arguments: tuple[str, ...]) -> None:
    code, said = run(suite, SKIPS.format("other"), *arguments)
    assert code == 1
    assert "test_it.py::test_other: Skipped: not today" in said
    assert said.rstrip().splitlines()[-1].startswith("===")


def test_a_listed_skip_is_green(suite: Path) -> None:
    assert run(suite, SKIPS.format("listed"))[0] == 0


def test_a_file_skipped_whole_and_an_expected_failure_count_too(suite: Path) -> None:
    whole = "import pytest\n\npytest.skip('not here', allow_module_level=True)\n"
    assert "test_it.py: Skipped: not here" in run(suite, whole)[1]
    code, said = run(suite, "import pytest\n\n@pytest.mark.xfail(reason='later')\ndef test_it():\n    assert 0\n")
    assert code == 1
    assert "test_it.py::test_it: later" in said


def test_a_run_without_tests_is_red(suite: Path) -> None:
    assert run(suite, "")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("test", "what"),
    [
        (THREAD, "thread T"),
        (PROCESS, "sleep 6"),
        (ORPHAN, "sleep 6"),
        (TEMPORARY, "temporary file forgotten"),
    ],
)
def test_what_is_left_behind_is_named(suite: Path, test: str, what: str) -> None:
    code, said = run(suite, test)
    assert code == 1
    assert "the run left behind" in said
    assert what in said


def test_a_file_left_in_the_checkout_is_named_in_ci(suite: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=suite, check=True)
    code, said = run(suite, CHECKOUT, CI="true")
    assert code == 1
    assert "forgotten.txt" in said


@pytest.mark.parametrize(
    "step",
    [
        "socket.create_connection(('192.0.2.1', 80), 0.1)",
        "socket.getaddrinfo('example.org', 80)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    ],
)
def test_a_step_outside_is_refused(suite: Path, step: str) -> None:
    code, said = run(suite, f"import socket\n\ndef test_it():\n    {step}\n")
    assert code == 1
    assert "only loopback is allowed" in said
