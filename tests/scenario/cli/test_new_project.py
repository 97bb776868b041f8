"""What ``mainstay new`` makes is whole: its tests pass, it serves, and its requests work as printed."""

from __future__ import annotations

import http.client
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def bookshop(tmp_path: Path, mainstay: Callable[..., Any]) -> Path:
    made = mainstay("new", "bookshop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "bookshop"


def clean() -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    return {name: value for name, value in os.environ.items() if name == "MAINSTAY_TEST_RUN" or "MAINSTAY" not in name}


def test_its_own_tests_pass(bookshop: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=bookshop,
        env=clean(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d+ passed", ended.stdout)
    assert "skipped" not in ended.stdout


def test_it_is_tidy(bookshop: Path) -> None:
    assert (bookshop / "migrations" / "0001_initial_schema.py").is_file()
    assert (bookshop / ".mainstay" / "profile").read_text() == "development\n"
    assert stat.S_IMODE((bookshop / ".mainstay" / "dev-key.json").stat().st_mode) == 0o600
    for tool in (["ruff", "check", "-q"], ["ruff", "format", "-q", "--check"]):
        ended = subprocess.run(
            [sys.executable, "-m", *tool, "--no-cache", "--exclude", "migrations", "."],
            cwd=bookshop,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout


def test_it_is_looked_at_and_nothing_is_wrong(bookshop: Path, mainstay: Callable[..., Any]) -> None:
    facts = json.loads(mainstay("doctor", "--format", "json", cwd=bookshop, MAINSTAY_HTTP_PORT="0").stdout)
    assert [finding for finding in facts["findings"] if finding["state"] == "wrong"] == []
    assert json.loads(mainstay("check", "--format", "json", cwd=bookshop).stdout)["faults"] == []
    routes = json.loads(mainstay("routes", "--format", "json", cwd=bookshop).stdout)
    assert {"take_item", "list_shortages", "record_withdrawal"} <= {route["name"] for route in routes}
    assert mainstay("db", "plan", "--check", cwd=bookshop).returncode == 0


def test_it_serves_and_its_requests_work_as_printed(bookshop: Path, start: Callable[..., Any]) -> None:
    service = start(bookshop, "--demo", "--port", "0")
    facts = service.facts()
    statuses = [send(line) for line in facts["requests"]]
    assert statuses == [200, 201, 200]
    assert set(facts["pages"]) == {"API", "docs", "health", "metrics"}
    for page in facts["pages"].values():
        assert service.request(urlsplit(page).path or "/items")[0] == 200


def send(line: str) -> int:
    """Do what a curl line says, and return the status."""
    import shlex

    words = shlex.split(line)
    assert words[0] == "curl"
    method, headers, body, url = "GET", {}, None, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(rest)
        elif not word.startswith("-"):
            url = word
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["new", "Book Shop"], "is no name for a project", 1),
        (["new", "json"], "a word of Python itself", 1),
        (["new", "bookshop", "--path", "full"], "is not empty", 1),
        (["new"], "the following arguments are required: name", 2),
    ],
)
def test_it_refuses_in_plain_words(
    tmp_path: Path, mainstay: Callable[..., Any], arguments: list[str], told: str, code: int
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    ended = mainstay(*arguments, cwd=tmp_path)
    assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
