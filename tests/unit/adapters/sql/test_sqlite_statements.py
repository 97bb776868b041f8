"""Statements inside a turn: what they change, what fails, what they may not do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlite_engines import add, ids, take

from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.sqlite import SqliteEngine


async def test_counts_of_changed_rows(engine: SqliteEngine) -> None:
    turn = await take(engine)
    assert turn.executemany("INSERT INTO item (id, name) VALUES (?, ?)", ((id, str(id)) for id in range(5))) == 5
    turn.execute("UPDATE item SET amount = 1 WHERE id > ?", (2,))
    assert turn.changes == 2
    turn.execute("UPDATE item SET amount = 1 WHERE id = 99")
    assert turn.changes == 0
    assert turn.execute("DELETE FROM item WHERE id = 3 RETURNING name") == [("3",)]
    await turn.commit()


@pytest.mark.parametrize(
    ("statement", "kind", "table", "columns", "constraint"),
    [
        ("INSERT INTO item (id, name) VALUES (1, 'x')", "unique", "item", ("id",), ""),
        ("INSERT INTO item (name) VALUES ('item 1')", "unique", "item", ("name",), ""),
        ("INSERT INTO pair VALUES ('a', 'b')", "unique", "", (), "lower_b"),
        ("INSERT INTO pair VALUES ('a', 'c'), ('a', 'c')", "unique", "pair", ("a", "b"), ""),
        ("INSERT INTO item (name) VALUES (NULL)", "not_null", "item", ("name",), ""),
        ("UPDATE item SET amount = -1", "check", "", (), "amount_range"),
        ("UPDATE item SET parent_id = 77", "foreign_key", "", (), ""),
        ("DELETE FROM parent", "foreign_key", "", (), ""),
        ("INSERT INTO typed VALUES ('x')", "datatype", "typed", ("n",), ""),
    ],
)
async def test_a_failed_constraint_is_named(
    engine: SqliteEngine, statement: str, kind: str, table: str, columns: tuple[str, ...], constraint: str
) -> None:
    turn = await take(engine)
    turn.execute("INSERT INTO parent VALUES (1)")
    turn.execute("INSERT INTO pair VALUES ('z', 'b')")
    add(turn, 1, parent=1)
    if constraint != "lower_b":
        turn.execute("DROP INDEX lower_b")
    with pytest.raises(ConstraintFailed) as caught:
        turn.execute(statement)
    failed = caught.value
    assert (failed.kind, failed.table, failed.columns, failed.constraint) == (kind, table, columns, constraint)
    await turn.rollback()


async def test_a_deferred_foreign_key_fails_its_own_turn_only(engine: SqliteEngine) -> None:
    first, second = asyncio.ensure_future(take(engine)), asyncio.ensure_future(take(engine))
    add(await first, 1)
    end = (await first).commit()
    turn = await second
    turn.execute("INSERT INTO late VALUES (1, 77)")
    with pytest.raises(ConstraintFailed) as caught:
        await turn.commit()
    assert caught.value.kind == "foreign_key"
    await end
    assert ids(engine) == [1]
    assert engine.read("SELECT * FROM late") == []


@pytest.mark.parametrize(
    ("statement", "bindings", "error"),
    [
        ("SELEC 1", (), StatementFailed),
        ("SELECT ?", (), StatementFailed),
        ("SELECT ?", (2**63,), OverflowError),
        ("SELECT ?", ("\ud800",), UnicodeEncodeError),
        ("SELECT ?", (object(),), TypeError),
    ],
)
async def test_a_faulty_statement_is_an_error_of_its_own(
    engine: SqliteEngine, statement: str, bindings: tuple[Any, ...], error: type[Exception]
) -> None:
    turn = await take(engine)
    add(turn, 1)
    with pytest.raises(error):
        turn.execute(statement, bindings)
    await turn.commit()
    assert ids(engine) == [1]


@pytest.mark.parametrize(
    "statement",
    ["COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT mine", "ATTACH 'x' AS x", "PRAGMA synchronous = 0", "SELECT 1; COMMIT"],
)
async def test_a_statement_cannot_end_the_group_or_change_its_settings(engine: SqliteEngine, statement: str) -> None:
    turn = await take(engine)
    add(turn, 1)
    with pytest.raises(StatementFailed):
        turn.execute(statement)
    await turn.commit()
    assert ids(engine) == [1]


async def test_values_come_back_as_they_went_in(engine: SqliteEngine) -> None:
    turn = await take(engine)
    values = (2**63 - 1, -(2**63), 1.5, "caf\u00e9 \U0001f375", b"\x00\xff", None)
    assert turn.execute("SELECT ?, ?, ?, ?, ?, ?", values) == [values]
    assert turn.execute("SELECT 'a' LIKE 'A', 'a' = 'A', 'a' LIKE 'a%'") == [(0, 0, 1)]
    await turn.rollback()
