"""From the first plan to a served production on MariaDB, by one URL: ``mysql://`` and ``mariadb://``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mysql_databases import drop_database, make_database

PRODUCTION = {
    "MAINSTAY_PROFILE": "production",
    "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
    "MAINSTAY_ADMIN_PORT": "0",
    "MAINSTAY_HTTP_DRAIN_DELAY": "0",
    "MAINSTAY_DATABASE_CREATE": "false",
}
SHORT, LONG = "text: str = field(max_length=100, unique=True)", "text: str = field(max_length=120, unique=True)"


@pytest.fixture(params=["mysql", "mariadb"])
def production(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    url = make_database(tmp_path).replace("mysql://", f"{request.param}://", 1)
    yield {**PRODUCTION, "MAINSTAY_DATABASE_URL": url}
    drop_database(tmp_path)


def test_production_is_migrated_served_backed_up_and_rolled_back(
    project: Path, run: Any, mainstay: Callable[..., Any], production: dict[str, str]
) -> None:
    def db(*arguments: str, code: int = 0) -> Any:
        ended = mainstay("db", *arguments, "--format", "json", **production)
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout) if ended.stdout else ended.stderr

    db("plan")
    refused = mainstay("run", **production)
    assert refused.returncode == 1
    assert "1 migration behind" in refused.stderr
    assert db("migrate") == {"migrated": ["0001_initial_schema"], "held_back": []}
    assert db("migrate") == {"migrated": [], "held_back": []}
    found = db("status")
    assert (found["current"], found["drift"]) == ("0001_initial_schema", [])
    assert "mainstay@" not in found["database"]
    service = run(**production)
    assert service.request("/notes", "POST", {"text": "kept"})[0] == 201
    assert service.request("/notes", "POST", {"text": "kept"})[0] == 409
    assert service.request("/ready") == (200, {"status": "ready"})
    service.process.terminate()
    assert service.wait() == 0
    made = db("backup", "notes.backup")
    assert made["rows"]["notes_note"] == 1
    assert "--replace" in db("restore", "notes.backup", code=1)
    assert db("rollback") == {"rolled_back": ["0001_initial_schema"]}
    assert db("restore", "notes.backup", "--replace") == made
    assert db("status")["current"] == "0001_initial_schema"


@pytest.mark.parametrize("production", ["mysql"], indirect=True)
def test_a_longer_text_needs_no_revision_and_room_before_it_is_served(
    project: Path, mainstay: Callable[..., Any], production: dict[str, str]
) -> None:
    for action in ("plan", "migrate"):
        assert mainstay("db", action, **production).returncode == 0
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(SHORT, LONG))
    refused = mainstay("run", **production)
    assert refused.returncode == 1
    assert "lacks what the model has: room in notes_note.text (it holds 100 of 120)" in refused.stderr
    assert mainstay("db", "plan", "--check", **production).returncode == 0
    assert mainstay("db", "migrate", **production).returncode == 0
    assert mainstay("doctor", **production).stdout.count("0001_initial_schema") == 1
