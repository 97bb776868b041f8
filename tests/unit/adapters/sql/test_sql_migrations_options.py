"""Options of entities in migrations: columns, unique rules and indexes come and go with them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sql_samples import table
from sql_shop import Shop, insert

from mainstay.adapters.sql.dialect import TableFault
from mainstay.adapters.sql.dialects.mysql import MysqlDialect
from mainstay.adapters.sql.layout import check_tables
from mainstay.adapters.sql.migrations import rollback, status
from mainstay.model.fields import field
from mainstay.model.structs import Entity
from mainstay.ports.store import Table


def thing(longest: int | None = None, **options: Any) -> Table:
    class Thing(Entity, **options):
        name: str = field(unique=True, max_length=longest)
        code: str | None = field(default=None, unique=True)
        rank: int = field(default=0, index=True)

    return table(Thing, "thing")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_rows_get_a_tenant_and_lose_it(shop: Shop) -> None:
    shop.change(thing())
    insert(shop, "thing", name="a", rank=1)
    before = shop.schema()
    planned = shop.change(thing(tenant="tenant_id"))
    assert [warning for warning in planned.warnings if "belong to no tenant" in warning]
    assert status(shop.target, shop.files, [thing(tenant="tenant_id")]).drift == ()
    assert shop.sql("SELECT name, tenant_id FROM thing") == [("a", "")]
    insert(shop, "thing", id="2", name="a", rank=1, tenant_id="acme")
    with pytest.raises(sqlite3.IntegrityError):
        insert(shop, "thing", id="3", name="a", rank=1, tenant_id="acme")
    shop.sql("DELETE FROM thing WHERE tenant_id = 'acme'")
    rollback(shop.target, shop.files)
    assert shop.schema() == before
    assert shop.sql("SELECT name FROM thing") == [("a",)]


def test_indexes_lead_with_the_tenant(shop: Shop) -> None:
    shop.change(thing(tenant="tenant_id"))
    made = [text for text in shop.schema() if text.startswith("CREATE INDEX")]
    assert made == [
        "CREATE INDEX ix_thing_rank ON thing (tenant_id, rank, id)",
        "CREATE INDEX ix_thing_tenant_id ON thing (tenant_id, id)",
    ]


def test_a_key_that_is_too_long_with_its_tenant_is_told() -> None:
    check_tables([thing(500, tenant="tenant_id")], MysqlDialect())
    with pytest.raises(TableFault, match="tenant_id and name together are too long"):
        check_tables([thing(600, tenant="tenant_id")], MysqlDialect())
