"""The store's own part: turns and snapshots, one statement where one is enough, indexes, conflicts told by field."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sql_samples import TABLES, Maker, Part, Review, Sample, opened, row, table, unit_of

from mainstay.adapters.sql.dialects import SqliteDialect
from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.layout import TableFault
from mainstay.adapters.sql.rows import BATCH
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.adapters.sql.tables import build_metadata
from mainstay.model.conditions import TRUE, Among, Compare, Condition
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.principal import Principal
from mainstay.model.problem import DeadlineExceeded, NotFound, ReferenceConflict, StaleVersion, UniqueConflict
from mainstay.model.structs import Entity
from mainstay.ports.repository import Repository
from mainstay.ports.rows import Change, Query

BY_ID = (Sort("id"),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path) as store:
        begun = store.begin(write=True)
        begun.rows(Maker).insert([row(Maker, n, name=f"m{n}") for n in range(1, 21)])
        parts = [row(Part, 100 * m + n, maker_id=UUID(int=m), order=n) for m in range(1, 21) for n in range(5)]
        begun.rows(Part).insert(parts)
        await begun.commit()
        yield store


def statements(store: SqliteStore) -> int:
    counted = store.engine.statistics
    return counted.reads_inline + counted.reads_in_thread


def drive(work: Any) -> Any:
    """Run a coroutine that may not wait."""
    with pytest.raises(StopIteration) as ended:
        work.send(None)
    return ended.value.value


async def test_reads_of_a_query_are_answered_without_waiting(store: SqliteStore) -> None:
    for single in (True, False):
        begun = store.begin(write=False, single=single)
        rows = begun.rows(Maker)
        assert drive(rows.get(UUID(int=1), TRUE)).name == "m1"
        assert len(drive(rows.fetch(Query(sort=BY_ID)))) == 20
        assert drive(rows.count(TRUE)) == 20
        drive(begun.commit())


async def test_reads_of_a_command_are_answered_without_waiting_once_it_has_its_turn(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    rows = begun.rows(Maker)
    await rows.count(TRUE)
    assert drive(rows.get(UUID(int=1), TRUE)).name == "m1"
    rows.insert([row(Maker, 99, name="new")])
    assert drive(rows.get(UUID(int=99), TRUE)).name == "new"
    await begun.rollback()


async def test_the_children_of_many_parents_come_by_one_statement(store: SqliteStore) -> None:
    begun = store.begin(write=False)
    before = statements(store)
    parents = await begun.rows(Maker).fetch(Query(sort=BY_ID))
    ids = tuple(parent.id for parent in parents)
    children = await begun.rows(Part).fetch(Query(where=Among("maker_id", ids), sort=BY_ID, limit=3, per="maker_id"))
    assert statements(store) - before == 2
    assert len(children) == 60
    assert children == sorted(children, key=lambda each: each.id)
    assert {each.order for each in children} == {0, 1, 2}
    await begun.rollback()


PLANS: list[tuple[Any, Query | Condition | None, str]] = [
    (Maker, None, "SEARCH maker USING INDEX sqlite_autoindex_maker_1 (id=?)"),
    (Maker, Query(where=Compare("name", "eq", "m1"), limit=2), "INDEX sqlite_autoindex_maker_2 (name=?)"),
    (Part, Query(where=Among("maker_id", (UUID(int=1),) * 3)), "INDEX ix_part_maker_id (maker_id=?)"),
    (Part, Query(where=Among("maker_id", (UUID(int=1),) * 50)), "INDEX ix_part_maker_id (maker_id=?)"),
    (Part, Query(where=Compare("keeper", "eq", UUID(int=1)), sort=BY_ID, limit=50), "INDEX ix_part_keeper (keeper=?)"),
    (Sample, Query(where=Compare("id", "gt", UUID(int=1)), sort=BY_ID, limit=50), "autoindex_sample_1 (id>?)"),
]


@pytest.mark.parametrize(("entity", "query", "expected"), PLANS)
async def test_plans_use_indexes(store: SqliteStore, entity: Any, query: Any, expected: str) -> None:
    rows: Any = store.begin(write=False).rows(entity)
    made = rows._statements
    sql, bindings = made.get(UUID(int=1), TRUE) if query is None else made.select(query)
    begun = store.begin(write=False)
    plan = begun.read(f"EXPLAIN QUERY PLAN {sql}", bindings)  # type: ignore[attr-defined]  # a query of the SQL store
    await begun.rollback()
    told = "\n".join(step[3] for step in plan)
    assert expected in told
    assert "SCAN part" not in told
    assert "TEMP B-TREE" not in told  # the order comes from the index


@pytest.mark.parametrize("parents", [2, 50])
async def test_children_are_found_by_their_parents_not_by_their_owner(store: SqliteStore, parents: int) -> None:
    """An owner has ever more rows; those of the parents on one page stay as few as they are."""
    ids = tuple(UUID(int=number) for number in range(parents))
    where = Among("maker_id", ids) & (Compare("keeper", "eq", UUID(int=1)) | Compare("order", "gt", 3))
    begun = store.begin(write=False)
    for condition in (where, Among("maker_id", ids) & Compare("keeper", "eq", UUID(int=1))):
        rows: Any = begun.rows(Part)
        sql, bindings = rows._statements.select(Query(where=condition, sort=BY_ID, limit=3, per="maker_id"))
        plan = begun.read(f"EXPLAIN QUERY PLAN {sql}", bindings)  # type: ignore[attr-defined]  # as above
        told = "\n".join(step[3] for step in plan)
        assert "SEARCH part USING INDEX ix_part_maker_id (maker_id=?)" in told
        assert "ix_part_keeper" not in told
    await begun.rollback()


async def test_references_are_looked_up_by_index(store: SqliteStore) -> None:
    """Without an index on the referring field every delete of a target would read the whole table."""
    begun = store.begin(write=False)
    plan = begun.read("EXPLAIN QUERY PLAN SELECT 1 FROM part WHERE maker_id = ? OR spare_for = ?", ("a", "b"))  # type: ignore[attr-defined]  # as above
    assert "SCAN" not in "\n".join(step[3] for step in plan)
    await begun.rollback()


async def test_a_query_sees_one_state_and_a_command_its_own_writes(store: SqliteStore) -> None:
    query = store.begin(write=False)
    assert await query.rows(Maker).count(TRUE) == 20
    command = store.begin(write=True)
    command.rows(Maker).insert([row(Maker, 50, name="new")])
    assert await command.rows(Maker).count(TRUE) == 21
    await command.commit()
    assert await query.rows(Maker).count(TRUE) == 20
    await query.rollback()
    assert await store.begin(write=False, single=True).rows(Maker).count(TRUE) == 21


async def test_two_parts_of_one_command_share_its_turn(store: SqliteStore) -> None:
    other = store.begin(write=True)
    await other.rows(Maker).count(TRUE)  # holds the turn, so that the reads below wait
    begun = store.begin(write=True)
    reads = [asyncio.ensure_future(begun.rows(Maker).count(TRUE)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(each.done() for each in reads)
    await other.commit()
    assert await asyncio.gather(*reads) == [20, 20, 20]
    await begun.commit()


async def test_a_command_waits_for_its_turn_until_its_deadline(store: SqliteStore) -> None:
    other = store.begin(write=True)
    await other.rows(Maker).count(TRUE)
    late = store.begin(write=True, deadline=time.monotonic() + 0.02)
    late.rows(Maker).insert([row(Maker, 60, name="late")])
    with pytest.raises(DeadlineExceeded):
        await late.commit()
    await late.rollback()
    await other.commit()
    again = store.begin(write=True)
    assert await again.rows(Maker).count(TRUE) == 20
    await again.rollback()


async def test_a_command_that_touches_nothing_takes_no_turn(store: SqliteStore) -> None:
    calls = store.engine.statistics.calls
    begun = store.begin(write=True)
    await begun.flush()
    await begun.commit()
    assert store.engine.statistics.calls == calls


@pytest.mark.parametrize("write", [True, False])
async def test_what_has_ended_is_not_used_again(store: SqliteStore, write: bool) -> None:
    begun = store.begin(write=write)
    rows = begun.rows(Maker)
    await rows.count(TRUE)
    await begun.commit()
    await begun.rollback()
    with pytest.raises(RuntimeError, match="has ended"):
        await rows.count(TRUE)
    with pytest.raises((RuntimeError, TypeError)):
        rows.insert([row(Maker, 70, name="x")])
    with pytest.raises((RuntimeError, TypeError)):
        await rows.apply(Change(where=TRUE, changes=None))


async def test_a_query_writes_nothing(store: SqliteStore) -> None:
    rows = store.begin(write=False).rows(Maker)
    with pytest.raises(TypeError, match="begun for reading"):
        rows.insert([row(Maker, 70, name="x")])
    with pytest.raises(TypeError, match="begun for reading"):
        rows.enqueue(Change(where=TRUE, changes=None))
    with pytest.raises(TypeError, match="begun for reading"):
        await rows.apply(Change(where=TRUE, changes=None))


FAILING: list[tuple[type[Entity], Sequence[Any], type[Exception], dict[str, Any]]] = [
    (Maker, [row(Maker, 1, name="other")], UniqueConflict, {"field": "id"}),
    (Maker, [row(Maker, 80, name="m3")], UniqueConflict, {"field": "name"}),
    (Maker, [row(Maker, 80, name="a"), row(Maker, 81, name="a")], UniqueConflict, {"field": "name"}),
    (Part, [row(Part, 1, maker_id=UUID(int=999))], ReferenceConflict, {"field": "maker_id"}),
    (
        Part,
        [row(Part, 1, maker_id=UUID(int=1)), row(Part, 2, maker_id=UUID(int=1), spare_for=UUID(int=999))],
        ReferenceConflict,
        {"field": "spare_for"},
    ),
]


@pytest.mark.parametrize(("entity", "rows", "problem", "members"), FAILING)
async def test_a_broken_constraint_is_told_by_field_and_nothing_is_kept(
    store: SqliteStore, entity: Any, rows: Any, problem: Any, members: Any
) -> None:
    begun = store.begin(write=True)
    begun.rows(Maker).insert([row(Maker, 90, name="before")])
    begun.rows(entity).insert(rows)
    with pytest.raises(problem) as raised:
        await begun.flush()
    assert raised.value.members == members
    with pytest.raises(problem):
        await begun.rows(Maker).count(TRUE)
    with pytest.raises(problem):
        await begun.commit()
    await begun.rollback()
    assert await store.begin(write=False, single=True).rows(Maker).count(TRUE) == 20


async def test_a_constraint_that_the_doorway_should_have_kept_is_no_callers_fault(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    begun.rows(Maker).insert([row(Maker, 90, name=None)])
    with pytest.raises(ConstraintFailed, match="not_null"):
        await begun.commit()
    await begun.rollback()


async def test_a_delete_that_others_restrict_is_a_conflict(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    begun.rows(Review).insert([row(Review, 1, part_id=UUID(int=100))])
    await begun.commit()
    begun = store.begin(write=True)
    begun.rows(Maker).enqueue(Change(where=Compare("id", "eq", UUID(int=1)), changes=None, expected=1))
    with pytest.raises(ReferenceConflict):
        await begun.commit()
    await begun.rollback()


async def test_a_miss_is_stale_where_the_row_can_be_seen_and_not_found_elsewhere(store: SqliteStore) -> None:
    here, seen = Compare("id", "eq", UUID(int=1)), Compare("name", "eq", "m1")
    hidden = here & Compare("name", "eq", "other")
    for where, version, problem in ((here & seen, 7, StaleVersion), (hidden, 7, NotFound), (hidden, 1, NotFound)):
        for changes in ({"name": "x", "version": 8}, None):
            begun = store.begin(write=True)
            begun.rows(Maker).enqueue(Change(where=where, changes=changes, version=version, expected=1))
            with pytest.raises(problem):
                await begun.flush()
            await begun.rollback()


async def test_a_change_of_many_raises_their_versions(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    rows = begun.rows(Part)
    assert await rows.apply(Change(where=Compare("order", "ge", 3), changes={"group": "late"})) == 40
    assert await rows.count(Compare("version", "eq", 2)) == 40
    rows.enqueue(Change(where=Compare("order", "eq", 0), changes={"group": "first"}))
    assert await rows.count(Compare("version", "eq", 1)) == 60
    with pytest.raises(TypeError, match="id is not changed"):
        rows.enqueue(Change(where=TRUE, changes={"id": UUID(int=5)}))
    await begun.rollback()


async def test_what_is_changed_after_it_was_queued_is_not_written(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    tags = ["a"]
    begun.rows(Sample).insert([row(Sample, 1, tags=tags)])
    changes = {"text": "before"}
    begun.rows(Sample).enqueue(Change(where=TRUE, changes=changes))
    tags.append("b")
    changes["text"] = "after"
    found = await begun.rows(Sample).get(UUID(int=1), TRUE)
    assert (found.tags, found.text) == (["a"], "before")
    await begun.rollback()


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("descending", [True, False])
async def test_a_stream_gives_all_rows_in_order_a_batch_at_a_time(
    store: SqliteStore, write: bool, descending: bool
) -> None:
    many = 2 * BATCH + 100
    begun = store.begin(write=True)
    begun.rows(Sample).insert([row(Sample, n, text=None if n % 3 else f"t{n % 7}") for n in range(1, many + 1)])
    await begun.commit()
    begun = store.begin(write=write)
    sort = (Sort("text", descending), Sort("id"))
    everything = [each async for each in begun.rows(Sample).stream(Query(sort=sort))]
    assert everything == await begun.rows(Sample).fetch(Query(sort=sort))
    some = [each async for each in begun.rows(Sample).stream(Query(sort=sort, limit=BATCH + 7))]
    assert some == everything[: BATCH + 7]
    await begun.rollback()


async def test_a_stream_that_is_left_lets_go_of_its_read(store: SqliteStore) -> None:
    unit = unit_of(store, Principal.system)
    parts: Repository[Part] = Repository(unit, unit.frame.plans[Part])
    async with aclosing(parts.stream(sort="order")) as rows:
        assert (await anext(rows)).order == 0
        transaction: Any = unit.transaction()
        held = transaction._snapshot._reader.streams
        assert len(held) == 1
    assert held == []
    assert await parts.count() == 100
    await unit.rollback()


async def test_a_command_may_write_what_it_streams(store: SqliteStore) -> None:
    begun = store.begin(write=True)
    rows = begun.rows(Part)
    async for part in rows.stream(Query(sort=BY_ID)):
        rows.enqueue(Change(where=Compare("id", "eq", part.id), changes={"order": part.order + 10}, expected=1))
    assert await rows.count(Compare("order", "ge", 10)) == 100
    await begun.commit()


async def test_a_stream_needs_no_order(store: SqliteStore) -> None:
    for write in (True, False):
        begun = store.begin(write=write)
        assert len([each async for each in begun.rows(Part).stream(Query())]) == 100
        await begun.rollback()


async def test_an_entity_without_a_table_is_named(store: SqliteStore) -> None:
    class Stranger(Entity):
        pass

    with pytest.raises(LookupError, match="Stranger has no table"):
        store.begin(write=False).rows(Stranger)


async def test_a_store_is_started_before_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="start"):
        SqliteStore(tmp_path / "x.db").begin(write=False)


async def test_claims_health_and_figures_are_the_engines(store: SqliteStore) -> None:
    assert await store.claims.take(b"key")
    assert not await store.claims.take(b"key")
    await store.claims.drop(b"key")
    await store.claims.drop(b"key")
    assert store.health() is None
    assert store.statistics()["commits"] >= 2
    assert store.statistics()["writer_queue"] == 0
    assert store.statistics()["memory_bytes"] > 0


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Bad(Entity):
    price: Decimal = field(digits=20, places=2)
    mixed: Mixed = Mixed.ONE
    nowhere: UUID = field(references="Nobody")


def test_what_cannot_be_stored_is_told_all_at_once() -> None:
    with pytest.raises(TableFault) as raised:
        build_metadata([table(Bad), table(Maker, "bad")], SqliteDialect())
    assert len(told := str(raised.value).splitlines()) == 4
    assert "Bad.price: digits=20, places=2 cannot be stored exactly: use at most 18 digits" in told[0]
    assert "Bad.mixed: the values of Mixed must be all strings or all integers" in told[1]
    assert "Bad.nowhere: references 'Nobody', which is no entity of this store" in told[2]
    assert "another entity's table is named bad too" in told[3]


def test_names_of_constraints_are_their_table_and_column() -> None:
    part = build_metadata(TABLES, SqliteDialect()).tables["part"]
    assert sorted(str(index.name) for index in part.indexes) == [
        "ix_part_keeper",
        "ix_part_maker_id",
        "ix_part_spare_for",
    ]
    assert sorted(str(each.name) for each in part.constraints) == ["fk_part_maker_id", "fk_part_spare_for", "pk_part"]
    maker = part.metadata.tables["maker"]
    assert sorted(str(each.name) for each in maker.constraints) == ["pk_maker", "uq_maker_name"]
