"""Rows are made up on every SQL database, at the speed at which it takes them, and a second run adds none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql_databases
import postgres_schemas
import pytest
from market_service import Customer, Item, Profile, fair

from mainstay.app.assembly import assemble
from mainstay.app.settings import Settings, load
from mainstay.app.volume import Wanted, fill
from mainstay.testing import Recorder
from mainstay.testing.backstage import Backstage

ROWS = 700  # enough for COPY


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def settings(request: Any, tmp_path: Path) -> Iterator[Settings]:
    environ = {
        "MAINSTAY_PROFILE": "test",
        "MAINSTAY_DATABASE_CREATE": "true",
        "MAINSTAY_DATABASE_URL": "sqlite:///market.db",
    }
    if request.param == "postgresql":
        url, schema = postgres_schemas.make_schema(tmp_path)
        environ |= {"MAINSTAY_DATABASE_URL": url, "MAINSTAY_DATABASE_SCHEMA": schema}
    if request.param == "mysql":
        environ["MAINSTAY_DATABASE_URL"] = mysql_databases.make_database(tmp_path)
    yield load(tmp_path, environ=environ)
    if request.param == "postgresql":
        postgres_schemas.drop_schema(tmp_path)
    if request.param == "mysql":
        mysql_databases.drop_database(tmp_path)


def test_each_entity_is_filled_once(settings: Settings) -> None:
    async def run(rows: int) -> tuple[list[tuple[str, int, int]], list[Any], list[Any], list[Any]]:
        application = assemble(fair, settings, observer=Recorder())
        await application.start(deliver=False)
        bound, ports = application.bound, application.ports
        stage = Backstage(ports.store, bound.plans, ports.clock, ports.ids, ports.sealer)
        try:
            made = await fill(bound, Wanted(rows=rows, seed=5))
            stored = [await stage.stored(entity) for entity in (Customer, Item, Profile)]
        finally:
            await application.stop()
        return [(one.entity, one.there, one.added) for one in made], *stored

    made, customers, items, profiles = asyncio.run(run(ROWS))
    assert [(there, added) for _, there, added in made] == [(0, ROWS)] * 4
    assert len({row.email for row in customers}) == len({row.sku for row in items}) == ROWS
    assert len({row.customer_id for row in profiles}) == ROWS
    again, customers_then, *_ = asyncio.run(run(ROWS))
    assert [added for *_, added in again] == [0] * 4
    assert customers_then == customers
    more, *_ = asyncio.run(run(ROWS + 10))
    assert [added for *_, added in more] == [10] * 4
