"""``mainstay policy``: explained for a caller, drawn for all, compared between two versions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.cli import main

SERVICE = """
from uuid import UUID
from mainstay import (
    Dto, Entity, Module, Repository, Service, anyone, authenticated, delegated, field, owner, role, scope, where
)

desk = Module("desk")

class Case(Entity, rows=owner("client_id") | (role("clerk") & ~where(lambda row, _who: row.state == "sealed"))):
    client_id: UUID = field(immutable=True)
    state: str = "open"
    region: str | None = None
    note: str = field(default="", read=role("clerk"), write=role("chief"))

class Told(Dto):
    text: str
    hint: str = field(default="", read=scope("hints"))

desk.resource(Case, path="/cases", read=authenticated, create=authenticated, delete=role("chief") & ~delegated)

@desk.query("GET /told", allow=anyone)
async def told() -> Told:
    return Told(text="x")

team = Service("team", modules=[desk], roles={"chief": ["clerk"], "clerk": []})
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSTAY_PROFILE", "development")
    (tmp_path / "policed_service.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text(
        'service = "policed_service:team"\n[database]\nurl = "sqlite:///d.sqlite3"\n'
    )
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("policed_service", None)


def run(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(["policy", *argv]) == code
    said = capsys.readouterr()
    return said.out if code == 0 or said.out else said.err


def facts(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    return json.loads(run(capsys, *argv, "--format", "json"))


def test_a_refusal_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "explain", "ann", "delete_case")
    assert text.splitlines()[:6] == [
        "desk.delete_case (DELETE /cases/{id}) for ann",
        "refused: allow= refuses the caller",
        "",
        "allow=",
        "  no   all of",
        "    no   role('chief')",
    ]
    assert "yes  not" in text
    assert main(["policy", "explain", "ann", "delete_case", "--check"]) == 1


def test_rows_are_told_with_their_condition(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "explain", "bob/clerk", "GET /cases")
    assert "for some rows: allowed, for the rows that the conditions below name" in text
    assert """where client_id = the caller's id or not (state = "sealed")""" in text
    assert "Case.note write=\n  no   role('chief')" in text


def test_roles_that_others_bring_along_count(capsys: pytest.CaptureFixture[str]) -> None:
    told = facts(capsys, "explain", "eve/chief", "list_cases")
    assert told["caller"] == "eve (roles chief, clerk)"
    assert [field["read"]["verdict"] for field in told["fields"]] == ["yes"]


@pytest.mark.parametrize(
    ("caller", "row", "verdict"),
    [
        ("ann", '{"state": "open"}', "no"),
        ("bob/clerk", '{"state": "open"}', "yes"),
        ("bob/clerk", '{"state": "sealed"}', "no"),
        ("bob/clerk", "{}", "yes"),
        (
            '{"id": "0199c0de-0000-7000-8000-000000000001"}',
            '{"client_id": "0199c0de-0000-7000-8000-000000000001"}',
            "yes",
        ),
        ("nobody", '{"state": "open"}', "no"),
        ("system", '{"state": "sealed"}', "yes"),
    ],
)
def test_one_row_is_judged(capsys: pytest.CaptureFixture[str], caller: str, row: str, verdict: str) -> None:
    told = facts(capsys, "explain", caller, "get_case", row)
    assert told["verdict"] == verdict


def test_a_stored_row_is_judged_by_its_id(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    (project / "policed_service.py").write_text(
        SERVICE
        + """
@team.seed
async def fill(cases: Repository[Case]) -> None:
    await cases.add(Case(id=UUID("0199c0de-0000-7000-8000-000000000007"), client_id=UUID(int=5), state="sealed"))
"""
    )
    assert main(["db", "plan", "first"]) == 0
    assert main(["db", "migrate"]) == 0
    assert main(["db", "seed"]) == 0
    capsys.readouterr()
    for caller, verdict in (("bob/clerk", "no"), ("system", "yes")):
        told = facts(capsys, "explain", caller, "get_case", "0199c0de-0000-7000-8000-000000000007")
        assert told["verdict"] == verdict
    absent = run(capsys, "explain", "ann", "get_case", "0199c0de-0000-7000-8000-000000000008", code=1)
    assert "no Case has the id" in absent


def test_a_token_is_a_caller(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--role", "clerk"]) == 0
    token = capsys.readouterr().out.split()[-1]
    assert "roles clerk" in facts(capsys, "explain", token, "list_cases")["caller"]


def test_a_principal_is_told_in_json(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    told = {"name": "ann", "roles": ["chief"], "tenant": "acme", "scopes": ["hints"], "actor": {"name": "robot"}}
    (project / "who.json").write_text(json.dumps(told))
    explained = facts(capsys, "explain", "@who.json", "delete_case")
    assert explained["caller"] == "ann (roles chief, clerk; scopes hints; tenant acme; acted for by robot)"
    assert explained["verdict"] == "no"  # somebody acts for her
    assert facts(capsys, "explain", json.dumps({**told, "actor": None}), "delete_case")["verdict"] == "rows"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["ann", "list_caces"], "there is no operation named list_caces"),
        (["ann", "list_cases", "{"], "the row is no JSON object"),
        (["ann", "list_cases", "x"], "the row is neither a JSON object nor an id"),
        (["ann", "list_cases", '{"colour": 1}'], "Case has no field colour"),
        (["ann", "list_cases", '{"client_id": 1}'], "Case.client_id: Expected"),
        (["ann", "told", "{}"], "a row was given, and the operation works on no entity"),
        (['{"rolls": []}', "list_cases"], "the principal is no JSON of one"),
        (["ann", "told", "0199c0de-0000-7000-8000-000000000007"], "a row was named, and the operation works on no"),
    ],
)
def test_what_cannot_be_explained_is_said(capsys: pytest.CaptureFixture[str], argv: list[str], told: str) -> None:
    assert main(["policy", "explain", *argv]) in (1, 2)
    assert told in capsys.readouterr().err


def test_a_service_with_faults_is_told_so(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    (project / "policed_service.py").write_text(SERVICE.replace('read=role("clerk")', 'read=role("clark")'))
    assert main(["policy", "matrix"]) == 1
    assert "role 'clark' is not declared in roles=" in capsys.readouterr().err


def test_the_matrix_names_all_that_a_service_tells_apart(capsys: pytest.CaptureFixture[str]) -> None:
    matrix = facts(capsys, "matrix")
    assert matrix["subjects"] == ["nobody", "someone", "role chief", "role clerk", "scope hints"]
    assert matrix["operations"]["delete_case"] == {
        "nobody": "no",
        "someone": "no",
        "role chief": "yes",
        "role clerk": "no",
        "scope hints": "no",
    }
    assert matrix["rows"]["Case"]["someone"] == "client_id = the caller's id"
    assert matrix["fields"]["Told.hint read"]["scope hints"] == "yes"
    assert "CaseCreate.note read" not in matrix["fields"]
    text = run(capsys, "matrix", "ann", "eve/chief")
    assert "delete_case  no   yes" in text
    assert "Case     [1]  [2]" in text
    assert "[1] where client_id = the caller's id" in text


def test_two_versions_are_compared(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    (project / "old.json").write_text(run(capsys, "matrix", "--format", "json"))
    assert run(capsys, "diff", "old.json").strip() == "nobody may do more or less"
    changed = (
        SERVICE.replace("delete=role", "update=anyone, delete=role")
        .replace('read=scope("hints")', "")
        .replace('role("chief") & ~delegated', "~role('clerk')")
    )
    (project / "policed_service.py").write_text(changed)
    found = facts(capsys, "diff", "old.json", ".")
    assert {(one["kind"], one["name"], one["subject"], one["direction"]) for one in found} == {
        *(("operation", "update_case", who, "wider") for who in ("nobody", "someone", "role chief", "role clerk")),
        *(("operation", "delete_case", who, "wider") for who in ("nobody", "someone")),
        ("operation", "delete_case", "role chief", "narrower"),
        *(("field", "Told.hint read", who, "wider") for who in ("nobody", "someone", "role chief", "role clerk")),
        ("operation", "delete_case", "scope hints", "wider"),
    }
    assert "wider" in run(capsys, "diff", "old.json", "--check", code=1)


def test_a_revision_of_the_repository_is_a_version(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for argv in (["init", "-q"], ["add", "policed_service.py", "mainstay.toml"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *argv], cwd=project, check=True)
    (project / "policed_service.py").write_text(SERVICE.replace('read=role("clerk")', 'read=role("chief")'))
    (only,) = facts(capsys, "diff", "HEAD")
    assert (only["name"], only["subject"], only["direction"]) == ("Case.note read", "role clerk", "narrower")
    assert "policy diff nonsense: neither a folder nor a revision" in run(capsys, "diff", "nonsense", code=1)
    (project / "bad.json").write_text("{}")
    assert main(["policy", "diff", "bad.json"]) == 2
    assert "bad.json is no matrix" in capsys.readouterr().err
    (project / "policed_service.py").write_text("team = 1 / 0")
    assert "its matrix cannot be drawn" in run(capsys, "diff", "HEAD", code=1)
