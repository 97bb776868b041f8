"""``mainstay db explain``: what an operation asks of a real database, with its plans, and nothing of it is kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql_databases
import postgres_schemas
import pytest
import slow_service
from slow_service import Author, Book, library

from mainstay.app.assembly import assemble
from mainstay.app.explaining import Asked, Explanation, explain, facts_of, text_of
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings, load
from mainstay.model.principal import Principal
from mainstay.testing import Recorder, as_principal
from mainstay.testing.backstage import Backstage

BOOKS = 3000


@pytest.fixture(params=["sqlite", "postgresql", "mysql"], scope="module")
def settings(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a service with 30 authors and 3,000 books, on each database."""
    folder = tmp_path_factory.mktemp(request.param)
    environ = {
        "MAINSTAY_PROFILE": "test",
        "MAINSTAY_SERVICE": "slow_service:library",
        "MAINSTAY_DATABASE_CREATE": "true",
        "MAINSTAY_DATABASE_URL": "sqlite:///books.db",
    }
    if request.param == "postgresql":
        url, schema = postgres_schemas.make_schema(folder)
        environ |= {"MAINSTAY_DATABASE_URL": url, "MAINSTAY_DATABASE_SCHEMA": schema}
    if request.param == "mysql":
        environ["MAINSTAY_DATABASE_URL"] = mysql_databases.make_database(folder)
    made = load(folder, environ=environ)
    asyncio.run(fill(made))
    yield made
    if request.param == "postgresql":
        postgres_schemas.drop_schema(folder)
    if request.param == "mysql":
        mysql_databases.drop_database(folder)


async def fill(settings: Settings) -> None:
    async with backstage(settings) as stage:
        authors = [Author(name=f"Author {n}", country="uk" if n % 2 else "fr") for n in range(30)]
        stored = await stage.given(*authors)
        unit = stage.unit(Principal.system, write=True)
        rows = [Book(author_id=stored[n % 30].id, title=f"Book {n:05}", year=1900 + n % 120) for n in range(BOOKS)]
        from mainstay.ports.bulk import Bulk

        await Bulk(unit, stage.plan(Book)).add_all(rows)
        await unit.commit()


class backstage:
    """The store of the settings, looked at from behind."""

    def __init__(self, settings: Settings) -> None:
        self._application = assemble(library, settings, observer=Recorder())

    async def __aenter__(self) -> Backstage:
        await self._application.start(deliver=False)
        bound, ports = self._application.bound, self._application.ports
        return Backstage(ports.store, bound.plans, ports.clock, ports.ids, ports.sealer)

    async def __aexit__(self, *_: object) -> None:
        await self._application.stop()


def explained(settings: Settings, operation: str, **more: Any) -> Explanation:
    return asyncio.run(explain(library, settings, Asked(operation=operation, **more)))


def line_of(text: str) -> str:
    file = Path(slow_service.__file__)
    return f"{file}:{1 + next(n for n, line in enumerate(file.read_text().splitlines()) if text in line)}"


def test_a_full_scan_is_told_with_the_index_that_it_lacks(settings: Settings) -> None:
    made = explained(settings, "titles", given={"part": "7", "year": 1950})
    (reading,) = made.statements
    assert reading.words == "fetch Book where title contains ? and year = ? order by title, id limit ?"
    assert reading.line == line_of("books.page(title=contains(part)")
    assert any(step.startswith("full scan of slow_book") for step in reading.steps)
    assert "slow_book" in str(reading.sql)
    found = {code: (text, fix) for code, text, fix in reading.advice}
    text, fix = found["full_scan"]
    assert text.startswith("full scan of slow_book (")
    assert text.endswith("rows): index year")
    assert fix == "Book.year: field(index=True)"
    size = reading.tables["slow_book"]
    assert size == BOOKS if settings.database.url.reveal().startswith("sqlite") else size > BOOKS / 2
    assert (made.outcome, made.failed, made.undone) == ("answered 200", False, False)


def test_a_search_by_an_index_is_nothing_to_mend(settings: Settings) -> None:
    made = explained(settings, "of_author")
    (reading,) = made.statements
    assert [step.partition(" of ")[0] for step in reading.steps] in (["search"], ["search"] * 2)
    assert (made.advised, made.made_up, made.outcome) == (0, ["author_id"], "answered 200")
    assert "nothing to mend" in text_of(made)


def test_reads_that_are_repeated_are_told(settings: Settings) -> None:
    made = explained(settings, "GET /each")
    stream, get = made.statements
    assert (stream.times, stream.met) == (1, BOOKS)
    assert (get.times, get.distinct, get.met) == (BOOKS, 30, BOOKS)
    assert [code for code, _, _ in get.advice] == ["n_plus_one"]
    assert "full_scan" not in [code for code, _, _ in get.advice]


def test_of_a_command_nothing_is_kept(settings: Settings) -> None:
    made = explained(settings, "write", given={"title": "New"})
    assert made.outcome == "answered 201", made.outcome
    assert [reading.words for reading in made.statements if not reading.kept] == [
        "count Book where title = ?",
        "insert Book",
    ]
    assert any(reading.kept for reading in made.statements)
    assert made.undone
    assert made.statements[0].advice[0][0] in ("full_scan", "index_walk")
    assert made.statements[0].advice[0][2] == "Book.title: field(index=True)"

    async def left() -> tuple[int, int]:
        async with backstage(settings) as stage:
            from mainstay.kernel.flow.records import OutboxMessage

            return len(await stage.stored(Book)), len(await stage.stored(OutboxMessage))

    assert asyncio.run(left()) == (BOOKS, 0)


def test_a_refusal_is_told_with_what_was_asked_until_then(settings: Settings) -> None:
    made = explained(settings, "write", given={"title": "Book 00001"})
    assert made.outcome.startswith("refused: too_many: Book 00001 is there")
    assert made.failed
    assert len(made.statements) == 1
    invalid = explained(settings, "titles", given={"part": "x", "year": "never"})
    assert invalid.failed
    assert "year" in invalid.outcome
    assert invalid.statements == []


def test_reads_are_run_for_their_times_where_that_is_asked(settings: Settings) -> None:
    made = explained(settings, "titles", given={"part": "7", "year": 1950}, analyze=True)
    timed = made.statements[0].milliseconds is not None
    assert timed == settings.database.url.reveal().startswith("postgres")


def test_what_reaches_outside_is_not_called_unasked(settings: Settings) -> None:
    with pytest.raises(Refusal) as refused:
        explained(settings, "translate", given={"title": "x"})
    assert "it reaches beyond the database" in refused.value.message
    assert explained(settings, "translate", given={"title": "x"}, external=True).outcome == "answered 200"


def test_questions_of_sql_are_explained_too(settings: Settings) -> None:
    made = explained(settings, "years", given={"year": 1950})
    (reading,) = made.statements
    assert (reading.action, reading.line) == ("sql", line_of("await sql.fetch("))
    code, text, fix = reading.advice[0]
    assert (code, fix) == ("full_scan", None)
    assert text.endswith("rows): index what its rows are looked for or joined by")


def test_who_calls_is_said(settings: Settings) -> None:
    made = explained(settings, "of_author", who=as_principal("ann", roles="critic"))
    assert made.caller == "ann (critic)"


def test_unknown_operations_are_refused_with_close_ones(settings: Settings) -> None:
    for name, remedy in (("titels", "titles"), ("GET /nothing", "mainstay routes"), ("zzz", "mainstay routes")):
        with pytest.raises(Refusal) as refused:
            explained(settings, name)
        assert remedy in refused.value.remedies[0]


def test_the_command_prints_facts_and_text(tmp_path: Path) -> None:
    environ = {
        "MAINSTAY_PROFILE": "test",
        "MAINSTAY_SERVICE": "slow_service:library",
        "MAINSTAY_DATABASE_CREATE": "true",
        "MAINSTAY_DATABASE_URL": "sqlite:///books.db",
        "PYTHONPATH": str(Path(slow_service.__file__).parent),
        "PATH": "",
    }
    asyncio.run(fill(load(tmp_path, environ=environ)))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mainstay", "db", "explain", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    facts = run("titles", "--input", '{"part": "7", "year": 1950}', "--format", "json")
    assert facts.returncode == 0, facts.stderr
    told = json.loads(facts.stdout)
    assert told["statements"][0]["advice"][0]["fix"] == "Book.year: field(index=True)"
    assert told["advice"] == 2
    text = run("GET /titles?part=7&year=1950", "--check", "--sql", "--as", "ann/critic")
    assert text.returncode == 1, text.stderr
    assert "! full scan of slow_book (3,000 rows): index year -> Book.year: field(index=True)" in text.stdout
    assert "SELECT" in text.stdout
    assert "1 statement; 2 to mend" in text.stdout
    assert run("titles").stderr.startswith("mainstay: titles needs") or "made up" in run("titles").stdout
    bad = run("titles", "--input", "[1]")
    assert (bad.returncode, "--input is no JSON object" in bad.stderr) == (2, True)
    (tmp_path / "input.json").write_text('{"title": "From a file"}')
    assert "answered 201" in run("write", "--input", "@input.json").stdout
    assert run("write", "--input", "@nothing.json").returncode == 1


def test_facts_are_json(settings: Settings) -> None:
    facts = facts_of(explained(settings, "of_author"))
    assert json.loads(json.dumps(facts))["operation"] == "of_author"


def test_a_store_without_plans_lists_what_it_was_asked(tmp_path: Path) -> None:
    environ = {
        "MAINSTAY_PROFILE": "test",
        "MAINSTAY_SERVICE": "slow_service:library",
        "MAINSTAY_DATABASE_URL": "memory:",
    }
    made = explained(load(tmp_path, environ=environ), "titles", given={"part": "7", "year": 1950})
    assert [reading.sql for reading in made.statements] == [None]
    assert "this store tells no plans" in text_of(made)
