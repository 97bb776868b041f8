"""A store in front of another one tells what is asked of it, and passes everything on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from slow_service import Author, Book, library, shelf

from mainstay import Repository, any_of, contains, ge, in_, ne, starts_with
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.observe.statements import RepeatedReads, WatchedStore
from mainstay.adapters.observe.statements.store import WatchedRows, WatchedTransaction
from mainstay.adapters.observe.statements.words import condition_words
from mainstay.adapters.sql.reading import Sql
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.conditions import FALSE, TRUE, Compare, CompareFields, Condition, Not
from mainstay.model.principal import Principal
from mainstay.ports.rows import Rows
from mainstay.ports.statements import Statement, Watch, Watching
from mainstay.ports.store import Store, Table, Transaction
from mainstay.testing import Client, FixedClock, Recorder, assert_queries
from mainstay.testing.backstage import Backstage
from mainstay.testing.fixed import ClearSealer, SequentialIds

PLANS = plan_entities(draw(library))
TABLES = [Table(shape=plan.shape, name=plan.table, module=plan.module) for plan in PLANS.values()]


class Ear(Watch, Watching):
    """Hears of everything, while it wants to."""

    def __init__(self) -> None:
        self.wants = True
        self.heard: list[Statement] = []
        self.ends = 0

    def begun(self) -> Watching | None:
        return self if self.wants else None

    def ran(self, statement: Statement) -> None:
        self.heard.append(statement)

    def ended(self) -> None:
        self.ends += 1

    @property
    def words(self) -> list[str]:
        return [one.words for one in self.heard]


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture(params=["memory", "sqlite"])
async def backstage(request: Any, ear: Ear, tmp_path: Path) -> AsyncIterator[Backstage]:
    own = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "t", create=True, synchronous="off")
    store = WatchedStore(own, ear)
    await store.start(TABLES)
    yield Backstage(store, PLANS, FixedClock(), SequentialIds(), ClearSealer())
    await store.stop()


@pytest.mark.parametrize(
    ("face", "own"), [(Store, WatchedStore), (Transaction, WatchedTransaction), (Rows, WatchedRows)]
)
def test_all_that_can_be_asked_is_passed_on(face: type[Any], own: type[Any]) -> None:
    asked = {name for name, value in vars(face).items() if callable(value) and not name.startswith("_")}
    between = own.__mro__[: own.__mro__.index(face)]
    assert asked - {name for each in between for name in vars(each)} <= {"keep"}  # which is told as the fetch it is


async def test_statements_come_in_the_order_in_which_they_run(backstage: Backstage, ear: Ear) -> None:
    unit = backstage.unit(Principal.system, write=True)
    authors = Repository(unit, backstage.plan(Author))
    first = await authors.add(Author(name="Ann"))
    await authors.add(Author(name="Bob"))
    assert ear.heard == []
    await authors.update(first, name="Anna")
    assert await authors.get(first.id)
    await authors.delete(first.id)
    await unit.commit()
    await unit.rollback()
    assert ear.words == [
        "insert Author",
        "update Author set name, version, updated_at where id = ? and version = ?",
        "get Author where id = ?",
        "delete Author where id = ?",
    ]
    assert [one.met for one in ear.heard] == [2, 1, 1, 1]
    assert [one.reads for one in ear.heard] == [False, False, True, False]
    assert ear.ends == 1
    assert {(one.line or "").rpartition(":")[0] for one in ear.heard} == {__file__}


async def test_what_was_not_carried_out_did_not_run(backstage: Backstage, ear: Ear) -> None:
    unit = backstage.unit(Principal.system, write=True)
    await Repository(unit, backstage.plan(Author)).add(Author(name="Ann"))
    await unit.rollback()
    assert (ear.heard, ear.ends) == ([], 1)


async def test_the_verbs_are_told_with_what_they_met(backstage: Backstage, ear: Ear) -> None:
    await backstage.given(*shelf(3, books=2))
    ear.heard.clear()
    unit = backstage.unit(Principal.system, write=False)
    rows = unit.transaction().rows(Book)
    assert await rows.count(TRUE) == 6
    assert await rows.count(FALSE) == 0
    assert len([row async for row in Repository(unit, backstage.plan(Book)).stream(year=ge(1991), sort="-title")]) == 4
    page = await Repository(unit, backstage.plan(Book)).page(title=contains("Book"), limit=2)
    assert len(page.items) == 2
    await unit.rollback()
    assert [(one.words, one.met) for one in ear.heard] == [
        ("count Book", 1),
        ("stream Book where year >= ? order by -title, id", 4),
        ("fetch Book where title contains ? order by id limit ?", 3),
    ]


async def test_nobody_is_in_the_way_where_nobody_watches(backstage: Backstage, ear: Ear) -> None:
    ear.wants = False
    transaction = backstage.unit(Principal.system, write=False).transaction()
    assert not isinstance(transaction, WatchedTransaction)
    await transaction.rollback()


async def test_a_task_of_its_own_has_no_line(backstage: Backstage, ear: Ear) -> None:
    unit = backstage.unit(Principal.system, write=False)
    await asyncio.gather(Repository(unit, backstage.plan(Author)).count(name="Ann"))
    await unit.rollback()
    assert ear.heard[0].line is None


async def test_questions_of_sql_are_statements_too(tmp_path: Path, ear: Ear) -> None:
    import sqlalchemy as sa

    store = WatchedStore(SqliteStore(tmp_path / "t", create=True, synchronous="off"), ear)
    await store.start(TABLES)
    backstage = Backstage(store, PLANS, FixedClock(), SequentialIds(), ClearSealer())
    for write in (False, True):
        unit = backstage.unit(Principal.system, write=write)
        sql = Sql(unit)
        table = sql.table(Author)
        assert await sql.fetch(sa.select(table.c.name).where(table.c.born > 1)) == []
        await unit.rollback()
    await store.stop()
    assert [one.action for one in ear.heard] == ["sql", "sql"]
    assert ear.heard[0].values == (1,)
    assert "slow_author" in ear.heard[0].words
    assert ear.heard[0].met == 0


async def test_questions_of_sql_need_a_sql_store(ear: Ear) -> None:
    store = WatchedStore(MemoryStore(), ear)
    await store.start(TABLES)
    unit = Backstage(store, PLANS, FixedClock(), SequentialIds(), ClearSealer()).unit(Principal.system, write=False)
    with pytest.raises(TypeError, match="needs a SQL store"):
        Sql(unit).table(Author)
    await unit.rollback()
    await store.stop()


async def test_the_rest_of_a_store_is_its_own(ear: Ear) -> None:
    class Own(MemoryStore):
        rung: list[Any] = []

        def delay(self, *, write: bool) -> float:
            return 3.0 if write else 2.0

        def ring(self) -> None:
            self.rung.append("rung")

        def listen(self, heard: Any) -> None:
            self.rung.append(heard)

    own = Own()
    store = WatchedStore(own, ear)
    assert store.health() == "the store is not open"
    await store.start(TABLES)
    store.ring()
    store.listen(print)
    assert (own.rung, store.delay(write=True), store.delay(write=False)) == (["rung", print], 3.0, 2.0)
    assert (store.claims, store.capabilities) == (own.claims, own.capabilities)
    assert (store.health(), store.statistics()) == (None, own.statistics())
    await store.stop()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (TRUE, "always"),
        (FALSE, "never"),
        (Compare("a", "eq", None), "a is null"),
        (Compare("a", "ne", None), "a is not null"),
        (Compare("a", "le", 3), "a <= ?"),
        (CompareFields("a", "lt", "b"), "a < b"),
        (Not(Compare("a", "eq", 1)), "not (a = ?)"),
    ],
)
def test_conditions_in_words(condition: Condition, words: str) -> None:
    assert condition_words(condition) == words


def test_what_is_no_condition_has_no_words() -> None:
    with pytest.raises(TypeError, match="Condition is no condition"):
        condition_words(Condition())


async def test_conditions_together(backstage: Backstage, ear: Ear) -> None:
    unit = backstage.unit(Principal.system, write=False)
    books = Repository(unit, backstage.plan(Book))
    either = any_of(Compare("year", "eq", 1), Compare("year", "eq", 2) & Compare("title", "ne", "x"))
    await books.count(either, title=in_(["a", "b"]))
    await books.count(~either, title=starts_with("a"), year=ne(3))
    await unit.rollback()
    assert ear.words == [
        "count Book where (year = ? or (year = ? and title != ?)) and title in (?)",
        "count Book where not (year = ? or (year = ? and title != ?)) and title starts with ? and year != ?",
    ]


async def test_lines_that_were_told_of_are_forgotten_after_a_thousand() -> None:
    recorder = Recorder()
    watch = RepeatedReads(recorder, times=1)

    def read(line: str) -> None:
        watching = watch.begun()
        watching.ran(Statement(action="count", entity=Book, asked=TRUE, words="count Book", line=line))
        watching.ran(Statement(action="insert", entity=Book, asked=[], words="insert Book", line=line))
        watching.ended()

    for n in range(1001):
        read(f"{n}")
        read(f"{n}")
    assert len(recorder.notices) == 1001
    read("1000")
    assert len(recorder.notices) == 1001
    read("0")
    assert len(recorder.notices) == 1002


async def test_figures_and_relations_are_told() -> None:
    async with Client(library) as client:
        await client.given(*shelf(1))
        with assert_queries(1) as queries:
            await client.get(f"/of/{shelf()[0].id}")
    assert queries.statements[0].words == "count Book where author_id = ?"
