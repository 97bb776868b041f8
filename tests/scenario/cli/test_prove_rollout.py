"""``mainstay prove rollout``: a change that is safe is proven so, and one that breaks the old version is found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import mysql_databases
import pytest
from postgres_schemas import server_url

SERVICE = '''"""A shelf of books."""

from decimal import Decimal
from uuid import UUID
from mainstay import Entity, Module, Repository, Service, anyone, field, role

shelf = Module("shelf")


class Author(Entity):
    name: str = field(max_length=80)


class Book(Entity):
    isbn: str = field(unique=True, pattern=r"97[89][0-9]{10}")
    title: str = field(max_length=80)
    author_id: UUID = field(references=Author)
    price: Decimal = field(ge=0, digits=8, places=2)
    blurb: str | None = field(default=None, max_length=200)


editor = role("editor")
shelf.resource(Author, path="/authors", read=anyone, create=editor, update=editor, delete=editor)
shelf.resource(Book, path="/books", read=anyone, create=editor, update=editor, delete=editor)


async def first_author(authors: Repository[Author]) -> None:
    if not await authors.count():
        await authors.add(Author(name="Ann"))


service = Service("shelf", modules=[shelf])
service.seed(first_author)
'''
BLURB = "    blurb: str | None = field(default=None, max_length=200)\n"
CHANGED = '    language: str = field(default="en", max_length=5)\n    pages: int | None = field(default=None, ge=1)\n'
TOML = 'service = "shelf_service:service"\n[database]\nurl = "sqlite:///shelf.db"\n'
PATIENCE = 240.0
INTERRUPTED = 130
LIKE = "mainstay_prove_%"


def commands(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_P")}
    return subprocess.run(
        [sys.executable, "-m", "mainstay", *arguments],
        cwd=cwd,
        env={**kept, "MAINSTAY_PROFILE": "development", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose only commit is the old version, with its migration; in a folder inside, as projects may be."""
    project = tmp_path / "services" / "shelf"
    project.mkdir(parents=True)
    (project / "shelf_service.py").write_text(SERVICE)
    (project / "mainstay.toml").write_text(TOML)
    assert commands("db", "plan", cwd=project).returncode == 0
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "The old version")
    return project


def change(project: Path, old: str, new: str) -> None:
    code = project / "shelf_service.py"
    text = code.read_text()
    assert text.count(old) == 1
    code.write_text(text.replace(old, new))


def prove(project: Path, *arguments: str) -> tuple[int, Any]:
    """Prove with --format json; the exit code and the facts, or the complaint."""
    ended = commands(
        "prove", "rollout", "--seconds", "1.5", "--rate", "40", *arguments, "--format", "json", cwd=project
    )
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else ended.stderr


async def own_schemas() -> list[str]:
    connection = await asyncpg.connect(server_url())
    try:
        return [
            row[0] for row in await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE $1", LIKE)
        ]
    finally:
        await connection.close()


def address_of(database: str) -> list[str]:
    urls = {"postgres": server_url, "mariadb": mysql_databases.server_url}
    return ["--url", urls[database]()] if database in urls else []


@pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"])
def test_a_change_that_expands_and_contracts_is_proven(repository: Path, tmp_path: Path, database: str) -> None:
    change(repository, BLURB, CHANGED)
    assert commands("db", "plan", cwd=repository).returncode == 0
    code, told = prove(repository, *address_of(database))
    assert code == 0, told
    assert (told["failed"], told["drift"], told["stopped"]) == (0, [], "")
    assert [step["step"] for step in told["steps"]] == ["old", "expand", "restart old", "beside", "move", "contract"]
    assert all(step["requests"] > 20 for step in told["steps"])
    assert all(len(told["migrated"][phase]) == 1 for phase in ("expand", "contract"))
    assert told["across"]["old_read_by_new"] > 3
    assert told["old"].startswith("HEAD (")
    assert told["never_done"] == []
    assert git(tmp_path, "worktree", "list").count("\n") == 1
    assert not (repository / "shelf.db").exists()
    assert asyncio.run(own_schemas()) == asyncio.run(mysql_databases.databases_like(LIKE.strip("%"))) == []


def test_what_the_old_version_still_needs_may_not_go_before_it(repository: Path) -> None:
    change(repository, BLURB, CHANGED)
    assert commands("db", "plan", cwd=repository).returncode == 0
    (file,) = [one for one in (repository / "migrations").glob("*.py") if 'phase = "contract"' in one.read_text()]
    file.write_text(file.read_text().replace('phase = "contract"', 'phase = "expand"'))
    code, told = prove(repository)
    assert code == 1
    failed = {step["step"] for step in told["steps"] if step["failed"]}
    assert "expand" in failed
    assert "old" not in failed
    assert any("old: GET /books" in example for step in told["steps"] for example in step["examples"])
    assert "blurb" in told["errors"]["old"][0]
    assert told["holds"] is False


def test_a_proof_that_is_ended_takes_back_what_it_has_begun(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mainstay", "prove", "rollout", "--seconds", "60", "--url", server_url()],
        cwd=repository,
        env={**os.environ, "MAINSTAY_PROFILE": "development", "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: (list(folder.glob("mainstay-rollout-*/old-*.out")) or [None])[0], announced)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == INTERRUPTED
    finally:
        process.kill()
        process.wait()
    assert list(folder.iterdir()) == []
    assert git(tmp_path, "worktree", "list").count("\n") == 1
    assert asyncio.run(own_schemas()) == []


def announced(found: Path) -> bool:
    return '"url"' in found.read_text()


def until(find: Callable[[], Path | None], holds: Callable[[Path], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while (found := find()) is None or not holds(found):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_version_that_does_not_start_ends_the_proof(repository: Path) -> None:
    change(repository, BLURB, BLURB + CHANGED)  # and no migration for it
    code, told = prove(repository)
    assert code == 1
    assert told["holds"] is False
    assert "new version: mainstay run" in told["stopped"]
    assert "mainstay db plan" in told["stopped"]
    assert told["failed"] == 0


def test_what_is_no_old_version_is_refused(repository: Path, tmp_path: Path) -> None:
    assert "neither a folder nor a revision" in prove(repository, "--old", "nowhere")[1]
    assert "there is no mainstay.toml" in prove(repository, "--old", str(tmp_path))[1]
    assert "not on mongodb" in prove(repository, "--url", "mongodb://127.0.0.1/shelf")[1]
    assert prove(repository, "--rate", "0")[0] == 2
