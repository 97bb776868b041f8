"""``mainstay db``, and what ``run`` does with a database that is behind."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from tests.conformance.servers import mongo_database

FIELD = "text: str = field(max_length=100, unique=True)"
SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
SAFE = {"MAINSTAY_AUTH_KEY": SECRET, "MAINSTAY_SEALING_SECRET": SECRET[::-1]}
MIGRATED = {"MAINSTAY_DATABASE_CREATE": "false"}


@pytest.fixture
def db(mainstay: Callable[..., Any]) -> Callable[..., Any]:
    """Run a db action with --format json; the exit code, and what it printed."""

    def action(*arguments: str, code: int = 0) -> Any:
        ended = mainstay("db", *arguments, "--format", "json", **MIGRATED)
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout) if ended.stdout else ended.stderr

    return action


def test_from_plan_to_roll_back(project: Path, db: Callable[..., Any]) -> None:
    assert db("status", code=1)["head"] is None
    first = db("plan")
    assert [(each["name"], each["phase"]) for each in first["planned"]] == [("0001_initial_schema", "expand")]
    assert (project / "migrations" / "0001_initial_schema.py").is_file()
    assert db("plan")["planned"] == []
    assert db("plan", "--check")["planned"] == []
    assert db("status", code=1)["pending"] == ["0001_initial_schema"]
    assert db("migrate") == {"migrated": ["0001_initial_schema"], "held_back": []}
    assert db("migrate") == {"migrated": [], "held_back": []}
    assert db("status")["current"] == "0001_initial_schema"
    assert db("seed") == {"seeded": ["first_note"]}
    assert db("seed") == {"seeded": ["first_note"]}
    assert db("rollback") == {"rolled_back": ["0001_initial_schema"]}
    assert "mainstay db migrate" in db("seed", code=1)


def test_rows_are_made_up_until_there_are_as_many_as_wanted(
    project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]
) -> None:
    db("plan")
    db("migrate")
    made = db("seed", "--rows", "50")
    assert made["seeded"] == ["first_note"]
    (notes,) = made["filled"]
    assert (notes["entity"], notes["there"], notes["added"], notes["short"]) == ("Note", 1, 49, None)
    assert notes["rows_per_second"] > 0
    assert db("seed", "--rows", "50")["filled"][0]["added"] == 0
    assert db("seed", "--rows", "60", "--entity", "Note", "--seed", "3")["filled"][0]["added"] == 10
    assert "there is no entity named Nope" in db("seed", "--rows", "60", "--entity", "Nope", code=1)
    text = mainstay("db", "seed", "--rows", "70", **MIGRATED)
    assert "10 rows in" in text.stdout
    assert mainstay("db", "seed", "--entity", "Note", **MIGRATED).returncode == 2
    production = {**MIGRATED, "MAINSTAY_PROFILE": "production"}
    refused = mainstay("db", "seed", "--rows", "80", **production, **SAFE)
    assert "do not belong in production" in refused.stderr
    done = mainstay("db", "seed", "--rows", "80", "--yes", **production, **SAFE)
    assert "10 rows in" in done.stdout, done.stderr


def test_seeds_are_for_profiles(project: Path, db: Callable[..., Any]) -> None:
    code = project / "team_service.py"
    shown = 'team.seed(profiles=["demo"])(shown)\nteam.seed(profiles=["test"])(tested)\n'
    more = "async def shown() -> None: ...\nasync def tested() -> None: ...\n"
    code.write_text(code.read_text() + more + shown)
    db("plan")
    db("migrate")
    assert db("seed") == {"seeded": ["first_note"]}
    assert db("seed", "--demo") == {"seeded": ["first_note", "shown"]}
    assert db("seed", "--profile", "test") == {"seeded": ["first_note", "tested"]}


def test_a_database_is_backed_up_and_restored(project: Path, db: Callable[..., Any]) -> None:
    db("plan")
    db("migrate")
    db("seed")
    made = db("backup", "notes.backup")
    assert made["revision"] == "0001_initial_schema"
    assert made["rows"]["mainstay_migration"] == 1
    assert "is there already" in db("backup", "notes.backup", code=1)
    assert "--replace" in db("restore", "notes.backup", code=1)
    db("rollback")
    assert db("restore", "notes.backup", "--replace") == made
    assert db("status")["current"] == "0001_initial_schema"


def test_a_change_of_the_model_is_planned_and_until_then_not_served(
    project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]
) -> None:
    db("plan")
    db("migrate")
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, FIELD + '\n    colour: str = field(max_length=20, default="red")'))
    ended = mainstay("run", **MIGRATED)
    assert ended.returncode == 1
    assert "column notes_note.colour" in ended.stderr
    assert "mainstay db plan" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert db("plan", "--check", code=1)["written"] is False
    planned = db("plan", "paint it")
    assert planned["planned"][0]["name"] == "0002_paint_it"
    for workers in ("1", "2"):
        ended = mainstay("run", "--workers", workers, **MIGRATED)
        assert ended.returncode == 1
        assert "1 migration behind (0002_paint_it): run mainstay db migrate" in ended.stderr


CHANGED = 'text: str = field(max_length=3)\n    colour: str = field(max_length=20, default="red", unique=True)'
PRODUCTION = {"MAINSTAY_PROFILE": "production", "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"}


def test_the_first_plan_is_told_in_short(project: Path, mainstay: Callable[..., Any]) -> None:
    said = mainstay("db", "plan", **MIGRATED).stdout
    assert "0001_initial_schema (expand): safe while the old version serves\n  create " in said
    assert "notes_note" in said
    assert "locks" not in said
    assert "team.db is not there yet" in said


def test_a_plan_says_what_it_does_to_the_live_database(
    project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]
) -> None:
    db("plan")
    db("migrate")
    db("seed")
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, CHANGED))
    planned = db("plan", "--preview")
    assert [each["phase"] for each in planned["planned"]] == ["expand", "contract"]
    assert planned["not_looked_at"] is None
    expand, contract = planned["revisions"]
    column = next(each for each in expand["steps"] if each["step"] == "add the column notes_note.colour")
    assert column["safe_while_the_old_version_serves"]
    assert (column["work"], column["rows"], column["locks"]) == ("instant", 1, "the whole file for writers")
    assert expand["loses_going_down"] == ["the values of notes_note.colour"]
    assert not contract["safe_while_the_old_version_serves"]
    (outside,) = planned["outside_of_the_model"]
    assert (outside["field"], outside["rows"], len(outside["ids"])) == ("text", 1, 1)
    said = mainstay("db", "plan", "--preview", **MIGRATED).stdout
    assert "0002_add_notes_note_colour (expand): NOT safe while the old version serves" in said
    assert "breaks reads of the old version: it may find several rows where it looks for one" in said
    assert "(contract): to be run once no old version serves" in said
    assert "outside of the model: notes_note.text: 1 rows: they are longer than 3" in said


def test_production_holds_back_what_an_older_version_may_need(
    project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]
) -> None:
    db("plan")
    db("migrate")
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, "body: str = field(max_length=100, unique=True)"))
    code.write_text(code.read_text().replace("Note(text=", "Note(body=").replace("count(text=", "count(body="))
    names = [each["name"] for each in db("plan", "--rename", "notes_note.text=body")["planned"]]
    assert db("check", code=1)["pending"] == names
    said = mainstay("db", "migrate", **{**PRODUCTION, "MAINSTAY_ADMIN_PORT": "0"})
    assert said.stdout.splitlines() == [
        f"migrated to {names[0]}",
        f"held back, since an older version may serve: {names[1]}",
        "once none does: mainstay db migrate --phase contract",
    ]
    assert db("migrate", "--phase", "expand") == {"migrated": [], "held_back": [names[1]]}
    compared = db("check")
    assert (compared["agree"], compared["held"]) == (True, [names[1]])
    assert db("status")["held_back"] == [names[1]]
    assert db("seed") == {"seeded": ["first_note"]}  # the new version works on what is not contracted
    assert db("migrate", "--phase", "contract") == {"migrated": [names[1]], "held_back": []}
    assert "do not agree" not in mainstay("db", "check", **MIGRATED).stdout


def test_what_was_changed_by_hand_is_found(project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]) -> None:
    db("plan")
    db("migrate")
    assert db("check")["agree"]
    connection = sqlite3.connect(project / "team.db")
    connection.execute("ALTER TABLE notes_note ADD COLUMN extra TEXT")
    connection.close()
    assert db("check", code=1)["schema"] == ["the column notes_note.extra is made by no file"]
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, CHANGED))
    said = mainstay("db", "check", **MIGRATED)
    assert said.returncode == 1
    assert "the migrations differ from the model: the column notes_note.colour is missing" in said.stdout
    assert "the schema differs from the migrations: the column notes_note.extra is made by no file" in said.stdout


def test_a_fresh_database_of_development_is_migrated_by_itself(
    project: Path, db: Callable[..., Any], run: Callable[..., Any]
) -> None:
    db("plan")
    service = run(**MIGRATED)
    assert service.request("/notes", "POST", {"text": "x"})[0] == 201


def test_the_demo_plans_migrates_and_seeds_and_its_requests_work(
    project: Path, run: Callable[..., Any], waiting: Callable[..., Any]
) -> None:
    with (project / "mainstay.toml").open("a") as file:
        file.write('[demo]\nrequests = ["{url}/version"]\n[[demo.tokens]]\nname = "reader"\nsubject = "somebody"\n')
    service = run("--demo", **MIGRATED)
    facts = service.facts()
    assert facts["requests"] == [f"{facts['url']}/version"]
    assert facts["tokens"]["reader"].count(".") == 2
    assert service.request("/notes", "POST", {"text": "first"})[0] == 409  # the seed was there first
    assert (project / "migrations" / "0001_initial_schema.py").is_file()


def test_production_migrates_nothing_by_itself(
    project: Path, db: Callable[..., Any], mainstay: Callable[..., Any]
) -> None:
    db("plan")
    production = {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
        "MAINSTAY_ADMIN_PORT": "0",
    }
    ended = mainstay("run", **production)
    assert ended.returncode == 1
    assert "behind" in ended.stderr
    assert not (project / "team.db").exists()
    refused = mainstay("run", "--demo", **production)
    assert refused.returncode == 2
    assert "development" in refused.stderr


@pytest.mark.parametrize(("answer", "served"), [(b"y\n", True), (b"n\n", False)])
def test_development_offers_to_migrate_at_a_terminal(
    project: Path, db: Callable[..., Any], answer: bytes, served: bool
) -> None:
    db("plan")
    db("migrate")
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, FIELD + '\n    colour: str = field(max_length=20, default="red")'))
    db("plan")
    said, code_ = at_a_terminal(
        project, [sys.executable, "-m", "mainstay", "run"], b"Migrate it now?", answer, b"serving"
    )
    assert (b"serving" in said) is served
    assert (code_ == 0) is served


def at_a_terminal(folder: Path, command: list[str], question: bytes, answer: bytes, end: bytes) -> tuple[bytes, int]:
    """Run a command at a pseudo-terminal, answer its question, and interrupt it once it has said ``end``."""
    terminal, inside = pty.openpty()
    environ = {**os.environ, **MIGRATED, "MAINSTAY_PROFILE": "development", "CI": ""}
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    )
    os.close(inside)
    said, answered, stopped = b"", False, False
    deadline = time.monotonic() + 40
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    said += os.read(terminal, 4096)
                except OSError:
                    break  # the other end is closed: it has ended
            if not answered and question in said:
                answered = True
                os.write(terminal, answer)
            if answered and not stopped and end in said:
                stopped = True
                process.send_signal(signal.SIGINT)
        return said, process.wait(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(terminal)


def test_rows_from_before_a_field_was_searchable_get_their_words(project: Path, db: Callable[..., Any]) -> None:
    db("plan")
    db("migrate")
    db("seed")
    assert db("index") == {"indexed": {}}
    code = project / "team_service.py"
    code.write_text(code.read_text().replace(FIELD, FIELD.replace("unique", "searchable=True, unique")))
    assert "notes_note_words" in db("plan", "words")["planned"][0]["text"]
    assert "mainstay db migrate" in db("index", code=1)
    db("migrate")
    for _ in range(2):
        assert db("index") == {"indexed": {"Note": 1}}
        with closing(sqlite3.connect(project / "team.db")) as file:
            words = [word for (word,) in file.execute("SELECT word FROM notes_note_words ORDER BY word")]
        assert words == ["text:first"]
    db("rollback")
    assert db("status", code=1)["pending"] == ["0002_words"]


def test_words_of_rows_from_before_are_stored_where_there_are_no_migrations(
    project: Path, mainstay: Callable[..., Any], tmp_path: Path
) -> None:
    code = project / "team_service.py"
    with mongo_database(tmp_path) as url, MongoClient(url) as client:
        given = {**MIGRATED, "MAINSTAY_DATABASE_URL": url}
        assert mainstay("db", "seed", **given).returncode == 0
        code.write_text(code.read_text().replace(FIELD, FIELD.replace("unique", "searchable=True, unique")))
        ended = mainstay("db", "index", "--format", "json", **given)
        assert ended.returncode == 0, ended.stderr
        told = ended.stdout[ended.stdout.index("{\n") :]  # behind the line of the log that tells what the store lacks
        assert json.loads(told) == {"indexed": {"Note": 1}}
        (note,) = client.get_default_database()["notes_note"].find()
        assert note["#words:text"] == ["first"]
