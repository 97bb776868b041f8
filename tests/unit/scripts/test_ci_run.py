"""`.ci/run` always runs both halves, swallows no failure, and ends with pytest's own closing line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CLOSING = "=== 3 passed in 0.12s ==="


@pytest.fixture
def checkout(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    for name in (".ci", "scripts"):
        (tmp_path / name).mkdir()
    shutil.copy2(pytestconfig.rootpath / ".ci/run", tmp_path / ".ci")
    return tmp_path


def run(checkout: Path, check: str, test: str) -> tuple[int, list[str]]:
    for name, body in (("scripts/check", check), ("test", test)):
        (checkout / name).write_text(f"#!/bin/sh\n{body}\n")
        (checkout / name).chmod(0o755)
    ended = subprocess.run([".ci/run"], cwd=checkout, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()


def test_all_is_well(checkout: Path) -> None:
    code, lines = run(checkout, "echo checked", f"echo CI=$CI; echo '{CLOSING}'")
    assert code == 0
    assert lines[:2] == ["checked", "CI=true"]
    assert lines[-1] == CLOSING


def test_a_failed_check_is_red_and_the_tests_run_all_the_same(checkout: Path) -> None:
    code, lines = run(checkout, "echo bad; exit 1", f"echo '{CLOSING}'")
    assert code == 1
    assert lines[-2:] == ["scripts/check failed: what it said stands above the tests", CLOSING]


@pytest.mark.parametrize("exit_code", [1, 2, 5])
def test_failed_tests_are_red(checkout: Path, exit_code: int) -> None:
    code, lines = run(checkout, "true", f"echo '=== 1 failed in 61.50s (0:01:01) ==='; echo later; exit {exit_code}")
    assert code == 1
    assert lines[-1] == "=== 1 failed in 61.50s (0:01:01) ==="


def test_a_run_that_never_closes_is_red(checkout: Path) -> None:
    code, lines = run(checkout, "true", "echo Killed >&2; exit 0")
    assert code == 1
    assert lines[-1] == "pytest did not come to its closing line"


def test_nothing_is_read_from_the_terminal(checkout: Path) -> None:
    assert run(checkout, "cat", f"cat; echo '{CLOSING}'")[0] == 0
