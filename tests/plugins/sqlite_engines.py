"""Engines of SQLite on a file of the test's own, with tables to try turns on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mainstay.adapters.sql.sqlite import (
    SqliteEngine,
    Turn,
)

SCHEMA = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, amount INTEGER CONSTRAINT amount_range "
    "CHECK (amount >= 0), parent_id INTEGER REFERENCES parent ON DELETE RESTRICT)",
    "CREATE TABLE pair (a TEXT, b TEXT, UNIQUE (a, b))",
    "CREATE UNIQUE INDEX lower_b ON pair (lower(b))",
    "CREATE TABLE late (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE typed (n INTEGER) STRICT",
)

Make = Callable[..., Awaitable[SqliteEngine]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    engines = []

    async def made(**options: Any) -> SqliteEngine:
        engine = SqliteEngine(tmp_path / "db", synchronous="off", **options)
        engines.append(engine)
        await engine.start()
        return engine

    yield made
    for engine in engines:
        await engine.stop()


@pytest.fixture
async def engine(make: Make) -> SqliteEngine:
    return await with_schema(await make())


async def with_schema(engine: SqliteEngine) -> SqliteEngine:
    turn = await take(engine)
    for statement in SCHEMA:
        turn.execute(statement)
    await turn.commit()
    return engine


async def take(engine: SqliteEngine, owner: asyncio.Task[Any] | None = None) -> Turn:
    turn = engine.turn(owner)
    return turn if isinstance(turn, Turn) else await turn


def add(turn: Turn, id: int, name: str | None = None, amount: int = 0, parent: int | None = None) -> None:
    turn.execute("INSERT INTO item VALUES (?, ?, ?, ?)", (id, name or f"item {id}", amount, parent))


async def add_one(engine: SqliteEngine, id: int) -> None:
    turn = await take(engine)
    add(turn, id)
    await turn.commit()


def ids(engine: SqliteEngine) -> list[int]:
    rows = engine.read("SELECT id FROM item ORDER BY id")
    assert isinstance(rows, list)
    return [row[0] for row in rows]
