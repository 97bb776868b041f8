"""What the options of entities do at the edges: reads through the audit, values of old types, plain entities."""

from __future__ import annotations

from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa

from mainstay import Dto, Entity, field, owner, role
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import all_of
from mainstay.model.problem import NotFound
from mainstay.model.schema import shape_of
from mainstay.model.values import UNASSIGNED, Secret
from mainstay.ports.auditing import MASK, Altered, AuditAction, AuditRow
from mainstay.ports.rows import Change, Query
from mainstay.ports.uniqueness import uniqueness
from mainstay.sql import Sql
from mainstay.testing import FixedClock, as_principal, memory_unit


class Level(Enum):
    LOW = 1


class Inner(Dto):
    key: Secret[str]
    days: list[date] = field(default_factory=list)


class Watched(Entity, audit=True, rows=owner("owner_id") | role("lead")):
    owner_id: UUID = UNASSIGNED
    name: str = field(default="", unique=True)
    inner: Inner | None = None
    marks: set[int] = field(default_factory=set)
    by_level: dict[Level, int] = field(default_factory=dict)
    size: int | None = None


class Leaf(Entity, soft_delete=True, audit=True):
    name: str = field(default="", unique=True)


class Unwatched(Entity):
    name: str = ""


ANN, LEAD = as_principal("ann"), as_principal("lead", roles="lead")


@pytest.mark.asyncio
async def test_reads_and_writes_of_a_command_go_through_the_audit() -> None:
    async with memory_unit(Watched, Unwatched, who=ANN) as unit:
        rows = unit.repository(Watched)
        added = await rows.add(Watched(name="a", size=1))
        assert await rows.get(added.id) == await rows.one(name="a") == added
        assert [row async for row in rows.stream()] == [added]
        assert await rows.count() == await unit.aggregates(Watched).count() == 1
        assert await unit.bulk(Watched).update(name="none", set={"size": 2}) == 0
        await unit.repository(Unwatched).add(Unwatched())
        await rows._unit.flush()
        await unit.commit()
        assert len((await unit.audit(Watched).of(added.id)).items) == 1


@pytest.mark.asyncio
async def test_a_queued_change_without_what_was_there_is_a_mistake() -> None:
    async with memory_unit(Watched, who=ANN) as unit:
        rows = unit.repository(Watched)._rows()
        with pytest.raises(TypeError, match="says what was there before"):
            rows.enqueue(Change(where=all_of(), changes={"size": 1}))


@pytest.mark.asyncio
async def test_values_stand_in_their_json_form_without_secrets() -> None:
    async with memory_unit(Watched, who=ANN) as unit:
        inner = Inner(key=Secret("hush"), days=[date(2026, 1, 2)])
        added = await unit.repository(Watched).add(Watched(inner=inner, marks={3}, by_level={Level.LOW: 2}))
        await unit.commit()
        (entry,) = (await unit.audit(Watched).of(added.id)).items
    assert entry.changes["inner"].new == {"key": MASK, "days": ["2026-01-02"]}
    assert entry.changes["marks"].new == [3]
    assert entry.changes["by_level"].new == {"1": 2}


@pytest.mark.asyncio
async def test_who_might_have_seen_a_row_that_is_gone_is_told_by_its_last_entry() -> None:
    async with memory_unit(Watched, who=ANN) as unit:
        added = await unit.repository(Watched).add(Watched(name="a"))
        await unit.repository(Watched).delete(added)
        await unit.commit()
        entries = unit._backstage.plans[Watched].trail
        assert entries is not None
        last = (await unit.audit(Watched).of(added.id)).items[0]
        assert last.action is AuditAction.DELETE
        await unit.rollback()
        transaction = unit._ports.store.begin(write=True)
        old: dict[str, Any] = {"owner_id": Altered(old="of another type"), "taken out": Altered(old=1)}
        await transaction.rows(AuditRow).apply(Change(where=all_of(id=last.id), changes={"changes": old}))
        await transaction.commit()
        with pytest.raises(NotFound):
            await unit.audit(Watched).of(added.id)
        await unit.rollback()
        lead = unit.acting_as(LEAD)
        seen = await lead.audit(Watched).of(added.id)
        await lead.rollback()
        assert len(seen.items) == 2


@pytest.mark.asyncio
async def test_rows_to_which_nobody_refers_are_marked_and_purged_by_one_statement() -> None:
    async with memory_unit(Leaf, who=ANN) as unit:
        (leaf,) = await unit.given(Leaf(name="a"))
        assert await unit.bulk(Leaf).delete(all_of()) == 1
        await unit.commit()
        later = unit.clock.now() + timedelta(1)
        assert await unit.deleted(Leaf).purge(before=later) == 1
        await unit.commit()
        actions = [entry.action.value for entry in (await unit.audit(Leaf).of(leaf.id)).items]
    assert actions == ["delete", "delete", "add"]


@pytest.mark.asyncio
async def test_sql_is_asked_in_a_command_that_is_audited(tmp_path: Path) -> None:
    clock = FixedClock()
    store = SqliteStore(tmp_path / "t.db", create=True, synchronous="off", clock=clock.monotonic)
    async with memory_unit(Watched, who=ANN, store=store) as unit:
        added = await unit.repository(Watched).add(Watched(name="a"))
        sql = Sql(unit.repository(Watched)._unit)
        watched = sql.table(Watched)
        assert [row.id for row in await sql.fetch(sa.select(watched.c.id))] == [added.id]
        entries = sql.table(AuditRow)
        assert await sql.fetch(sa.select(entries.c.id)) == []
        transaction = unit.repository(Watched)._unit.transaction()
        assert len(await transaction.rows(AuditRow).fetch(Query())) == 1


def test_uniqueness_is_told_by_the_field_that_is_unique() -> None:
    class Tenanted(Entity, tenant="tenant_id", soft_delete=True):
        name: str = field(unique=True)

    rule = uniqueness(shape_of(Tenanted))
    assert (rule.columns("name"), rule.told(("tenant_id", "name")), rule.told(("id",))) == (
        ("tenant_id", "name"),
        "name",
        "id",
    )
    assert rule.everywhere == frozenset()
    row = Tenanted(name="a")
    assert rule.value(row, "name") == ("", "a")
    assert rule.value(msgspec.structs.replace(row, deleted_at=FixedClock().now()), "name") is None
