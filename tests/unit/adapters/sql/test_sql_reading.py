"""``Sql`` sees what repositories see, and takes nothing that could see more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sql_samples import FIRST, TABLES, Colour, Maker, Part, Sample, opened, row, table, unit_of
from sqlalchemy import func, select

import mainstay.sql
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.dialects import SqliteDialect
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.values import Unstorable
from mainstay.model.fields import field
from mainstay.model.policy import owner, role, where
from mainstay.model.principal import Principal
from mainstay.model.structs import Entity
from mainstay.sql import Restricted, Sql

ANN = Principal(id=UUID(int=0xA))
BOB = Principal(id=UUID(int=0xB))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path) as store:
        begun = store.begin(write=True)
        begun.rows(Maker).insert([row(Maker, n, name=f"m{n}") for n in (1, 2)])
        begun.rows(Part).insert(
            [
                row(Part, 10 + n, maker_id=UUID(int=1 + n % 2), order=n, keeper=(ANN, BOB)[n % 3 == 0].id)
                for n in range(6)
            ]
        )
        begun.rows(Sample).insert(
            [
                row(Sample, n, price=Decimal(n), at=FIRST, colour=Colour.RED, ref=UUID(int=n), text="x")
                for n in (1, 2, 3)
            ]
        )
        await begun.commit()
        yield store


@pytest.mark.parametrize("write", [True, False])
async def test_a_table_holds_the_rows_of_the_caller_only(store: SqliteStore, write: bool) -> None:
    for who, orders in ((ANN, [1, 2, 4, 5]), (BOB, [0, 3]), (Principal.system, [0, 1, 2, 3, 4, 5])):
        unit = unit_of(store, who, write=write)
        sql = Sql(unit)
        parts, makers = sql.table(Part), sql.table(Maker)
        found = await sql.fetch(select(parts.c.order).order_by(parts.c.order))
        assert [each.order for each in found] == orders
        joined = select(makers.c.name, func.count().label("many")).join(parts, parts.c.maker_id == makers.c.id)
        counted = await sql.fetch(joined.group_by(makers.c.name).order_by(makers.c.name))
        assert sum(each.many for each in counted) == len(orders)
        await unit.rollback()


async def test_values_have_the_types_of_their_fields(store: SqliteStore) -> None:
    unit = unit_of(store, ANN)
    sql = Sql(unit)
    samples = sql.table(Sample)
    wanted = select(samples).where(
        samples.c.price >= Decimal("1.50"),
        samples.c.at == FIRST,
        samples.c.colour == Colour.RED,
        samples.c.ref.in_([UUID(int=2), UUID(int=9)]),
    )
    [found] = await sql.fetch(wanted)
    assert (found.id, found.price, found.at, found.colour) == (UUID(int=2), Decimal("2.00"), FIRST, Colour.RED)
    assert "secret" not in found._fields
    [(total, top)] = await sql.fetch(select(func.sum(samples.c.price), func.max(samples.c.at)))
    assert (total, top) == (Decimal("6.00"), FIRST)
    assert await sql.fetch(select(samples.c.id).where(samples.c.price > 100)) == []
    await unit.rollback()


class Pay(Entity):
    keeper: UUID
    name: str
    grade: int = field(read=role("boss"))
    amount: Decimal = field(digits=9, places=2, read=owner("keeper") | role("boss"))


async def test_fields_that_the_caller_may_not_read_are_left_out_or_null(tmp_path: Path) -> None:
    pay = table(Pay)
    async with opened(tmp_path, pay) as store:
        begun = store.begin(write=True)
        whose = enumerate((ANN, BOB), start=1)
        begun.rows(Pay).insert(
            [row(Pay, n, keeper=who.id, name=f"p{n}", grade=n, amount=Decimal(n)) for n, who in whose]
        )
        await begun.commit()
        boss = Principal(id=UUID(int=0xC), roles=frozenset({"boss"}))
        for who, amounts, grades in ((ANN, [Decimal("1.00"), None], False), (boss, [Decimal(1), Decimal(2)], True)):
            unit = unit_of(store, who, pay)
            sql = Sql(unit)
            found = await sql.fetch(select(sql.table(Pay)).order_by(sql.table(Pay).c.name))
            assert [each.amount for each in found] == amounts
            assert ("grade" in found[0]._fields) is grades
            hidden = await sql.fetch(select(func.sum(sql.table(Pay).c.amount).label("total")))
            assert hidden[0].total == sum(each for each in amounts if each is not None)
            await unit.rollback()


class Claimed(Entity):
    team: UUID
    cost: int = field(read=where(lambda row, who: row.team == who.claims["team"]))


async def test_a_claim_is_compared_as_a_value_of_its_field(tmp_path: Path) -> None:
    claimed, team = table(Claimed), UUID(int=77)
    async with opened(tmp_path, claimed) as store:
        begun = store.begin(write=True)
        begun.rows(Claimed).insert([row(Claimed, 1, team=team, cost=5), row(Claimed, 2, team=UUID(int=78), cost=6)])
        await begun.commit()
        unit = unit_of(store, Principal(id=UUID(int=0xA), claims={"team": str(team)}), claimed)
        sql = Sql(unit)
        found = await sql.fetch(select(sql.table(Claimed).c.cost).order_by(sql.table(Claimed).c.id))
        assert [each.cost for each in found] == [5, None]
        await unit.rollback()


async def test_a_command_sees_what_it_has_queued(store: SqliteStore) -> None:
    unit = unit_of(store, ANN, write=True)
    unit.transaction().rows(Maker).insert([row(Maker, 9, name="new")])
    sql = Sql(unit)
    makers = sql.table(Maker)
    assert [each.name for each in await sql.fetch(select(makers.c.name).where(makers.c.name == "new"))] == ["new"]
    await unit.rollback()


BARE = build_metadata(TABLES, SqliteDialect()).tables["part"]


def bare(_: SqliteStore) -> sa.Table:
    return BARE


REFUSED: list[Any] = [
    lambda sql, store: sa.text("SELECT * FROM part"),
    lambda sql, store: sa.text("SELECT id FROM part").columns(sa.column("id")),
    lambda sql, store: select(bare(store)),
    lambda sql, store: select(bare(store).c.id),
    lambda sql, store: select(sql.table(Maker).c.id).where(sa.exists().where(bare(store).c.id != "")),
    lambda sql, store: select(select(bare(store).c.id).scalar_subquery()),
    lambda sql, store: select(sql.table(Maker)).join(bare(store), sa.true()),
    lambda sql, store: select(sql.table(Maker).c.id).union(select(bare(store).c.id)),
    lambda sql, store: select(select(bare(store).c.id).cte("hidden").c.id),
    lambda sql, store: select(bare(store).alias("p").c.id),
    lambda sql, store: select(sa.literal_column("(SELECT count(*) FROM part)")),
    lambda sql, store: select(sql.table(Maker).c.id).where(sa.text("1 = 1")),
    lambda sql, store: select(sql.table(Maker).c.id).order_by(sa.text("(SELECT 1)")),
    lambda sql, store: select(sql.table(Maker).c.id).prefix_with("/* */"),
    lambda sql, store: select(sql.table(Maker).c.id).suffix_with("UNION SELECT id FROM part"),
    lambda sql, store: select(sql.table(Maker).c.id).select_from(sa.table("part")),
    lambda sql, store: select(sql.table(Maker).c.id.op("|| (SELECT 1) ||")("x")),
    lambda sql, store: select(sa.column("name", is_literal=True)).select_from(sql.table(Maker)),
    lambda sql, store: sa.delete(bare(store)),
    lambda sql, store: sa.update(bare(store)).values(order=1).returning(bare(store).c.id),
    lambda sql, store: "SELECT 1",
]


@pytest.mark.parametrize("make", REFUSED)
async def test_what_a_policy_cannot_be_put_into_is_refused(store: SqliteStore, make: Any) -> None:
    unit = unit_of(store, ANN)
    sql = Sql(unit)
    with pytest.raises(Restricted):
        await sql.fetch(make(sql, store))
    await unit.rollback()


ALLOWED: list[Any] = [
    lambda sql: select(sql.table(Maker).c.id).union(select(sql.table(Part).c.id)),
    lambda sql: select(select(sql.table(Part).c.order).cte("mine").c.order),
    lambda sql: select(sql.table(Part).alias("a").c.id),
    lambda sql: select(func.count()).select_from(select(sql.table(Part).c.id).subquery()),
    lambda sql: select(sql.table(Part).c.id).where(sql.table(Part).c.maker_id.in_(select(sql.table(Maker).c.id))),
    lambda sql: select(func.row_number().over(order_by=sql.table(Part).c.id)),
    lambda sql: select(sa.case((sql.table(Part).c.order > 1, "many"), else_="few")).distinct().limit(1).offset(1),
    lambda sql: select(sql.table(Part).c.order.op("%")(2)),
]


@pytest.mark.parametrize("make", ALLOWED)
async def test_expressions_over_tables_of_its_own_are_run(store: SqliteStore, make: Any) -> None:
    unit = unit_of(store, ANN)
    sql = Sql(unit)
    assert await sql.fetch(make(sql))
    await unit.rollback()


async def test_raw_sql_needs_a_reason_and_binds_its_values(store: SqliteStore) -> None:
    unit = unit_of(store, ANN)
    sql = Sql(unit)
    with pytest.raises(ValueError, match="needs a reason"):
        sql.unrestricted(reason=" ")
    raw = sql.unrestricted(reason="a figure over all owners")
    assert (await raw.fetch("SELECT count(*) AS many FROM part"))[0][0] == 6
    nasty = "'; DROP TABLE part; --"
    asked = "SELECT :a AS a, :b AS b, :c AS c, :d AS d, :e AS e, :f AS f"
    values = {"a": nasty, "b": UUID(int=1), "c": FIRST, "d": Colour.RED, "e": date(2026, 1, 2), "f": time(1)}
    [found] = await raw.fetch(asked, **values)
    stored = (str(UUID(int=1)), "2026-11-23T10:20:30.123456Z", "red", "2026-01-02", "01:00:00.000000")
    assert tuple(found) == (nasty, *stored)
    assert (await raw.fetch("SELECT :a", a=True))[0][0] == 1
    with pytest.raises(Unstorable, match="Decimal"):
        await raw.fetch("SELECT :a", a=Decimal(1))
    await unit.rollback()


async def test_another_store_has_no_sql() -> None:
    store = MemoryStore()
    await store.start(TABLES)
    unit = unit_of(store, ANN)
    with pytest.raises(TypeError, match="needs a SQL store"):
        Sql(unit).table(Maker)
    await unit.rollback()
    await store.stop()


def test_the_public_module_imports_nothing_heavy() -> None:
    shown = "print('sqlalchemy' in sys.modules)"
    code = f"import sys, mainstay.sql; {shown}; mainstay.sql.Sql; {shown}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="nothing"):
        mainstay.sql.nothing  # type: ignore[attr-defined]  # noqa: B018 - what is tested
