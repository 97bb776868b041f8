"""A database of before there was an inbox: migrated by plan and migrate, with its events and marks heeded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql_databases
import postgres_schemas
import pytest

from mainstay import Entity, Event, Module, Repository, Service
from mainstay.app.assembly import assemble
from mainstay.app.checking import inspect
from mainstay.app.migrating import migrations_of
from mainstay.app.settings import Settings, load
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage
from mainstay.testing import Recorder
from mainstay.testing.backstage import Backstage

BEFORE = Path(__file__).with_name("before_the_inbox.py")


class Noted(Event):
    number: int


class Taken(Entity):
    number: int
    consumer: str


def notes() -> Service:
    module = Module("notes")
    module.entity(Taken)

    @module.on(Noted)
    async def first(event: Noted, rows: Repository[Taken]) -> None:
        await rows.add(Taken(number=event.number, consumer="first"))

    @module.on(Noted)
    async def second(event: Noted, rows: Repository[Taken]) -> None:
        await rows.add(Taken(number=event.number, consumer="second"))

    return Service("notes", modules=[module])


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def settings(request: Any, tmp_path: Path) -> Iterator[Settings]:
    environ = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "sqlite:///notes.db"}
    if request.param == "postgresql":
        url, schema = postgres_schemas.make_schema(tmp_path)
        environ |= {"MAINSTAY_DATABASE_URL": url, "MAINSTAY_DATABASE_SCHEMA": schema}
    if request.param == "mariadb":
        environ["MAINSTAY_DATABASE_URL"] = mysql_databases.make_database(tmp_path)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_initial_schema.py").write_text(BEFORE.read_text())
    yield load(tmp_path, environ=environ)
    if request.param == "postgresql":
        postgres_schemas.drop_schema(tmp_path)
    if request.param == "mariadb":
        mysql_databases.drop_database(tmp_path)


def test_events_of_before_are_done_once(settings: Settings) -> None:
    tables = inspect(notes()).tables
    migrations = migrations_of(settings, tables)
    assert migrations is not None
    assert migrations.migrate().done == ["0001_initial_schema"]
    migrations.plan(message="events in an inbox")
    assert len(migrations.migrate("contract").done) == 2
    assert not migrations.missing()
    migrations.check()
    taken, inbox, waiting = asyncio.run(_worked(settings))
    assert [(row.number, row.consumer) for row in taken] == [(7, "second")]
    assert {row.mark.partition(":")[0]: (row.state, row.consumer) for row in inbox} == {
        "first": ("done", ""),
        "second": ("done", "second"),
    }
    assert waiting == []


async def _worked(settings: Settings) -> tuple[list[Any], list[Any], list[Any]]:
    """Work on events until none waits, and return what there is then."""
    application = assemble(notes(), settings, observer=Recorder())
    async with application:
        bound, ports = application.bound, application.ports
        stage = Backstage(ports.store, bound.plans, ports.clock, ports.ids, ports.sealer)
        async with asyncio.timeout(60):
            while not await stage.stored(Taken) or await stage.stored(OutboxMessage):
                await asyncio.sleep(0.05)
        return await stage.stored(Taken), await stage.stored(InboxMessage), await stage.stored(OutboxMessage)
