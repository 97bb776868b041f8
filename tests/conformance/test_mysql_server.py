"""What a store on MariaDB or MySQL does beyond the suites: bounds of indexed texts, faults, lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import asyncmy
import pytest
from mysql_databases import DatabaseStore, drop_databases, execute, server_url
from sqlalchemy import func, select

from mainstay.adapters.sql.mysql.options import address
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.adapters.sql.outages import DatabaseAway, ServerUnfit
from mainstay.model.conditions import Compare
from mainstay.model.problem import (
    CommitUnknown,
    DeadlineExceeded,
    Invalid,
    NotCommitted,
    NotFound,
    ReferenceConflict,
    SerializationConflict,
    StaleVersion,
    UniqueConflict,
)
from mainstay.ports.rows import Change
from mainstay.sql import Sql
from mainstay.testing.conformance.model import Book, Everything, Item, Reader, Shelf
from mainstay.testing.conformance.world import World, opened

ENTITIES = (Shelf, Book, Item, Reader, Everything)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = DatabaseStore(tmp_path, lock_seconds=1)
    async with opened(store, ENTITIES) as world:
        yield world
    await drop_databases([store.database])


def engine_of(world: World) -> Any:
    store = world.store
    assert isinstance(store, MysqlStore)
    return store.engine


async def sessions(world: World) -> list[int]:
    """Return the numbers of the store's sessions on the server, the asking one last."""
    link = await engine_of(world).writers.take()
    try:
        rows = await link.fetch("SELECT id FROM information_schema.processlist WHERE db = DATABASE()", ())
        ((own,),) = await link.fetch("SELECT CONNECTION_ID()", ())
    finally:
        engine_of(world).writers.give(link)
    return [*(number for (number,) in rows if number != own), own]


async def asked(statement: str) -> list[Any]:
    """Return the rows of a statement that is asked by a connection of its own."""
    connection: Any = await asyncmy.connect(**address(server_url()))
    try:
        cursor = connection.cursor()
        await cursor.execute(statement)
        return list(await cursor.fetchall())
    finally:
        await connection.ensure_closed()


async def kill_all(world: World) -> None:
    await execute(*(f"KILL {number}" for number in await sessions(world)))


async def test_a_text_that_an_index_must_hold_is_refused_where_it_is_too_long(world: World) -> None:
    (row,) = await world.add(Item(name="n" * 255))
    for work in (
        lambda hands: hands.rows(Item).add(Item(name="\U0001f600" * 256)),
        lambda hands: hands.rows(Item).update(row, name="n" * 256),
    ):
        with pytest.raises(Invalid) as raised:
            async with world.command() as hands:
                await work(hands)
        assert [(fault.code, fault.pointer) for fault in raised.value.faults] == [("too_long", "/name")]
        assert "nnn" not in str(raised.value.faults)
    assert await world.all(Item) == [row]


async def test_long_texts_are_ordered_by_what_differs_behind_their_beginning(world: World) -> None:
    texts = ["\U0001f600" * 3500 + end for end in ("b", "a", "c", "")]
    await world.add(*(Everything(text=text) for text in texts))
    async with world.query() as hands:
        found = (await hands.rows(Everything).page(sort="text")).items
    assert [row.text for row in found] == sorted(texts)


async def test_sql_reads_the_values_of_the_fields_and_raw_text_as_it_stands(world: World) -> None:
    value = Everything(text="100%", key=UUID(int=7), flag=True)
    (row,) = await world.add(value)
    unit = world.unit(write=False)
    sql = Sql(unit)
    seen = sql.table(Everything)
    asked = select(seen.c.id, seen.c.key, seen.c.flag, seen.c.created_at).where(seen.c.text.like("100\\%", escape="\\"))
    assert [tuple(each) for each in await sql.fetch(asked)] == [(row.id, UUID(int=7), True, row.created_at)]
    assert (await sql.fetch(select(func.count()).select_from(seen).where(seen.c.key == UUID(int=7))))[0][0] == 1
    raw = sql.unrestricted(reason="text with signs of the driver's")
    nasty = "%s ? ' \\' ; -- `"
    [found] = await raw.fetch("SELECT '5% %s \\' AS a, :b AS b", b=nasty)
    assert tuple(found) == ("5% %s \\", nasty)
    await unit.rollback()


async def test_the_first_fault_of_several_writes_is_told_and_nothing_is_kept(world: World) -> None:
    shelf, _ = await world.add(Shelf(name="a"), Shelf(name="taken"))
    (reader,) = await world.add(Reader(name="r"))

    async def broken(fault: type[Exception], work: Any) -> None:
        with pytest.raises(fault):
            async with world.command() as hands:
                await hands.rows(Reader).update(reader, name="changed")
                await work(hands)
                await hands.rows(Shelf).add(Shelf(name="late"))
        assert await world.all(Reader) == [reader]
        assert len(await world.all(Shelf)) == 2

    await broken(UniqueConflict, lambda hands: hands.rows(Shelf).add(Shelf(name="taken")))
    await broken(ReferenceConflict, lambda hands: hands.rows(Book).add(Book(shelf_id=UUID(int=9), title="t")))
    async with world.command() as hands:
        await hands.rows(Shelf).update(shelf, name="b")
    await broken(StaleVersion, lambda hands: hands.rows(Shelf).update(shelf, name="c"))
    await broken(NotFound, lambda hands: hands.rows(Shelf).delete(UUID(int=9)))


async def test_a_failed_group_leaves_no_transaction_on_its_connection(world: World) -> None:
    await world.add(Shelf(name="taken"))
    with pytest.raises(UniqueConflict):
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="r"))
            await hands.rows(Shelf).add(Shelf(name="taken"))
    link = await engine_of(world).writers.take()
    ((open_one,),) = await link.fetch("SELECT @@in_transaction", ())
    engine_of(world).writers.give(link)
    assert open_one == 0


async def test_a_connection_that_ends_before_the_commit_undoes_the_command(world: World) -> None:
    with pytest.raises(NotCommitted):
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="a"))
            await hands.unit.flush()
            await kill_all(world)
            await hands.rows(Reader).count()
    assert await world.all(Reader) == []


async def test_a_connection_that_ends_at_the_commit_leaves_it_unknown(world: World) -> None:
    with pytest.raises(CommitUnknown):
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="a"))
            await hands.unit.flush()
            await kill_all(world)
    assert await world.all(Reader) == []


async def test_reads_go_on_by_another_connection_where_all_have_ended(world: World) -> None:
    (row,) = await world.add(Reader(name="a"))
    assert await world.all(Reader) == [row]
    await kill_all(world)
    assert await world.get(Reader, row.id) == row
    assert world.store.health() is None


async def test_a_read_that_nobody_waits_for_ends_on_the_server(world: World) -> None:
    transaction: Any = world.store.begin(write=False, single=True)
    task = asyncio.ensure_future(transaction.run("SELECT SLEEP(30)", ()))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transaction.rollback()
    link = await engine_of(world).writers.take()
    for _ in range(100):
        rows = await link.fetch("SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'", ())
        if not rows:
            break
        await asyncio.sleep(0.05)
    engine_of(world).writers.give(link)
    assert not rows


async def test_a_deadline_ends_a_read(world: World) -> None:
    transaction: Any = world.store.begin(write=False, deadline=monotonic() + 0.3)
    with pytest.raises(DeadlineExceeded):
        await transaction.run("SELECT SLEEP(30)", ())
    await transaction.rollback()


async def test_one_that_waits_for_a_row_too_long_may_be_run_again(world: World) -> None:
    (row,) = await world.add(Reader(name="a"))
    change = Change(where=Compare("id", "eq", row.id), changes={"name": "b"}, expected=1)
    holder = world.store.begin(write=True)
    await holder.rows(Reader).apply(change)
    other = world.store.begin(write=True)
    with pytest.raises(SerializationConflict):
        await other.rows(Reader).apply(change)
    await other.rollback()
    await holder.commit()
    assert (await world.get(Reader, row.id)).name == "b"


async def test_several_writes_that_wait_too_long_leave_nothing_and_may_be_run_again(world: World) -> None:
    (row,) = await world.add(Reader(name="a"))
    holder = world.store.begin(write=True)
    await holder.rows(Reader).apply(Change(where=Compare("id", "eq", row.id), changes={"name": "b"}, expected=1))
    with pytest.raises(SerializationConflict):
        async with world.command() as hands:
            await hands.rows(Shelf).add(Shelf(name="first"))
            await hands.rows(Reader).update(row, name="c")
    await holder.rollback()
    assert await world.all(Shelf) == []
    await world.add(Shelf(name="first"))
    assert await world.all(Reader) == [row]


async def test_rows_are_read_by_the_columns_that_there_are_now(world: World) -> None:
    link = await engine_of(world).writers.take()
    await link.execute("CREATE TABLE changing (v INT)")
    await link.change("INSERT INTO changing VALUES (?)", (5,))
    assert await link.fetch("SELECT v FROM changing", ()) == [(5,)]
    await link.execute("ALTER TABLE changing MODIFY v VARCHAR(10)")
    assert await link.fetch("SELECT v FROM changing", ()) == [("5",)]
    engine_of(world).writers.give(link)


async def test_claims_belong_to_one_database_and_end_with_their_process(world: World, tmp_path: Path) -> None:
    other, same = DatabaseStore(tmp_path / "other"), DatabaseStore(tmp_path)
    async with opened(other, (Reader,)) as apart, opened(same, ENTITIES) as replica:
        assert await world.store.claims.take(b"k")
        assert await apart.store.claims.take(b"k")
        assert not await replica.store.claims.take(b"k")
        await world.store.stop()
        assert await replica.store.claims.take(b"k")
    await drop_databases([other.database])


async def test_a_server_that_may_lose_commits_is_refused_unless_that_is_said(tmp_path: Path) -> None:
    """What the server of the tests says decides which of both is seen."""
    store = DatabaseStore(tmp_path, durable=True)
    await execute(f"CREATE DATABASE {store.database}")
    try:
        [(flush,)] = await asked("SELECT @@global.innodb_flush_log_at_trx_commit")
        with pytest.raises(ServerUnfit, match="lost with the power") if flush != 1 else nullcontext():
            await store.engine.start()
        await store.engine.stop()
    finally:
        await drop_databases([store.database])


async def test_a_server_that_is_not_there_is_away(tmp_path: Path) -> None:
    store = MysqlStore("mysql://nobody@127.0.0.1:1/none", wait_seconds=0.5)
    with pytest.raises(DatabaseAway):
        await store.start([])
    await store.stop()
