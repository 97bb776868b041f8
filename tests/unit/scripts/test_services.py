"""Outside programs are started once, found by their variables, and stopped for good."""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

WEB = """
[web]
command = ["{python}", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{{data}}", "{{port}}"]
ready = ["{python}", "-c", "import socket; socket.create_connection(('127.0.0.1', {{port}})).close()"]
env = {{ WEB_URL = "http://127.0.0.1:{{port}}/" }}
"""


@pytest.fixture
def services(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / "scripts/lib"))
    return importlib.import_module("services")


@pytest.fixture
def call(services: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    def call(word: str, table: str = WEB.format(python=sys.executable), code: int = 0) -> str:
        (tmp_path / "table.toml").write_text(table)
        assert services.main([word], tmp_path / "table.toml", tmp_path / "state") == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    yield call
    services.main(["down"], tmp_path / "table.toml", tmp_path / "state")


def test_a_service_lives_from_up_to_down(call: Callable[..., str]) -> None:
    assert call("status") == "web: not running\n"
    assert call("env") == ""
    assert call("up") == "web\n"
    assert call("up") == ""
    url = call("env").removeprefix("export WEB_URL=").strip()
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert answer.status == 200
    assert "port" in call("status")
    assert call("down") == "stopped web\n"
    assert call("status") == "web: not running\n"


def test_another_process_of_the_same_number_is_not_taken_for_it(call: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "state/web").mkdir(parents=True)
    (tmp_path / "state/web/process.json").write_text(json.dumps({"pid": "1", "started": "never", "port": "1"}))
    assert call("status") == "web: not running\n"
    assert call("down") == ""


def test_a_program_that_is_missing_is_named(call: Callable[..., str]) -> None:
    assert "nonesuch" in call("up", '[web]\ncommand = ["nonesuch"]\nready = ["true"]\n', code=1)


def test_a_service_that_dies_at_once_is_reported(call: Callable[..., str]) -> None:
    assert "did not come up; see" in call("up", '[web]\ncommand = ["false"]\nready = ["false"]\n', code=1)


def test_an_unknown_word_is_answered_with_the_usage(call: Callable[..., str]) -> None:
    assert "scripts/services up" in call("restart", code=2)


def test_the_project_needs_none_today(services: ModuleType, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    assert services.load(pytestconfig.rootpath / "scripts/services.toml", tmp_path) == []
