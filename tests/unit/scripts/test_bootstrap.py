"""The environment is made once, made good after a kill, and made anew when it was made for another place."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FAKE_UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 99.0.0"; exit; }
echo "$@" >> "$UV_CALLS"
[ -n "${UV_FAILS:-}" ] && exit 3
[ "$1" != venv ] || { mkdir -p .venv/bin; ln -s /bin/sh .venv/bin/python; }
"""


@pytest.fixture
def checkout(pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the set-up beside a small lock file, and a uv that only notes how it was called."""
    root = tmp_path / "a checkout"
    shutil.copytree(pytestconfig.rootpath / "scripts/lib", root / "scripts/lib", ignore=shutil.ignore_patterns("__py*"))
    (root / "uv.lock").write_text('[[package]]\nname = "uv"\nversion = "1.2.3"\nwheels = []\n')
    (root / "pyproject.toml").write_text("")
    fake = tmp_path / "bin/uv"
    fake.parent.mkdir()
    fake.write_text(FAKE_UV)
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UV_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return root


def bootstrap(checkout: Path, *groups: str) -> tuple[list[str], str]:
    """Run it; the calls of uv that it made, and what it said."""
    calls = Path(os.environ["UV_CALLS"])
    calls.unlink(missing_ok=True)
    command = [sys.executable, "-I", "scripts/lib/bootstrap.py", *groups]
    ended = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    made = calls.read_text().splitlines() if calls.exists() else []
    return [f"exit {ended.returncode}", *(call.split()[0] for call in made)], ended.stderr + "".join(made)


def test_it_is_made_once(checkout: Path) -> None:
    assert bootstrap(checkout)[0] == ["exit 0", "venv", "sync"]
    assert bootstrap(checkout)[0] == ["exit 0"]


def test_a_new_group_or_lock_file_is_followed_and_earlier_groups_stay(checkout: Path) -> None:
    bootstrap(checkout, "dev")
    assert bootstrap(checkout)[0] == ["exit 0"]
    assert "--group=dev --group=extra" in bootstrap(checkout, "extra")[1]
    with (checkout / "uv.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "--group=dev --group=extra" in bootstrap(checkout)[1]


def test_an_unfinished_one_is_made_anew(checkout: Path) -> None:
    bootstrap(checkout)
    (checkout / ".mainstay/setup.unfinished").touch()
    calls, said = bootstrap(checkout)
    assert calls == ["exit 0", "venv", "sync"]
    assert "anew" in said


def test_a_failure_of_uv_fails_and_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap(checkout)
    monkeypatch.setenv("UV_FAILS", "1")
    calls, said = bootstrap(checkout, "dev")
    assert calls == ["exit 1", "sync"]
    assert "set-up failed: `uv sync` ended with 3" in said
    monkeypatch.delenv("UV_FAILS")
    assert bootstrap(checkout, "dev")[0] == ["exit 0", "sync"]


def test_a_moved_checkout_gets_a_new_one(checkout: Path, tmp_path: Path) -> None:
    bootstrap(checkout)
    moved = checkout.rename(tmp_path / "elsewhere")
    assert bootstrap(moved)[0] == ["exit 0", "venv", "sync"]


def test_a_python_that_is_gone_is_noticed(checkout: Path) -> None:
    bootstrap(checkout)
    (checkout / ".venv/bin/python").unlink()
    assert bootstrap(checkout)[0] == ["exit 0", "venv", "sync"]


def test_a_developers_own_environment_loses_nothing(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to("/bin/sh")
    calls, said = bootstrap(checkout)
    assert calls == ["exit 0", "sync"]
    assert "--inexact" in said


def test_behind_a_mirror_the_lock_becomes_a_list_with_hashes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    calls, said = bootstrap(checkout)
    assert calls == ["exit 0", "venv", "export", "pip", "pip"]
    assert "--require-hashes" in said


def test_two_at_once_wait_for_each_other(checkout: Path) -> None:
    (checkout / ".mainstay").mkdir()
    with (checkout / ".mainstay/setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-I", "scripts/lib/bootstrap.py"]
        with subprocess.Popen(command, cwd=checkout, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == "waiting for another set-up to finish\n"
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.wait(10) == 0


@pytest.mark.parametrize(
    ("machine", "libc", "tag"),
    [
        ("x86_64", "glibc", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
        ("aarch64", "glibc", "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"),
        ("arm64", "glibc", "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"),
        ("x86_64", "", "musllinux_1_1_x86_64"),
    ],
)
def test_the_wheel_of_this_machine_is_chosen(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, machine: str, libc: str, tag: str
) -> None:
    module = loaded(pytestconfig, monkeypatch)
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(module.platform, "libc_ver", lambda: (libc, ""))
    tags = (
        "manylinux_2_17_i686.manylinux2014_i686",
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "musllinux_1_1_x86_64",
        "win_amd64",
    )
    wheels = [{"url": f"http://127.0.0.1/uv-1-py3-none-{name}.whl"} for name in tags]
    assert module._wheel({"wheels": wheels})["url"].endswith(f"none-{tag}.whl")


def test_an_unknown_machine_is_told_what_to_do(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded(pytestconfig, monkeypatch)
    monkeypatch.setattr(module.platform, "machine", lambda: "vax")
    with pytest.raises(module.SetupError, match="install uv yourself"):
        module._wheel({"wheels": [{"url": "http://127.0.0.1/uv-1-py3-none-win_amd64.whl"}]})


def loaded(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / "scripts/lib"))
    return importlib.import_module("bootstrap")
