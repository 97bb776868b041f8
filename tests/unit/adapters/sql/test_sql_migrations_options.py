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
from mainstay.adapters.sql.migrations.drift import drift
from mainstay.adapters.sql.schema import create_statements
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
    rollback(shop.target, shop.files, len(planned.revisions))
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


def test_rows_are_kept_from_now_on_and_no_more(shop: Shop) -> None:
    shop.change(thing())
    insert(shop, "thing", name="a", rank=1)
    before = shop.schema()
    made = shop.change(thing(soft_delete=True))
    assert [revision.phase for revision in made.revisions] == ["expand", "contract"]
    assert "uq_thing" not in made.revisions[0].text  # a rule is exchanged at once, when nobody knows the old one
    assert status(shop.target, shop.files, [thing(soft_delete=True)]).drift == ()
    shop.sql("UPDATE thing SET deleted_at = 'x'")
    insert(shop, "thing", id="2", name="a", rank=1)
    with pytest.raises(sqlite3.IntegrityError, match=r"thing\.name"):
        insert(shop, "thing", id="3", name="a", rank=1)
    planned = shop.plan(thing(), preview=True)
    assert planned is not None
    assert "thing: rows that were deleted are there again: take them out here" in planned.warnings
    shop.sql("DELETE FROM thing WHERE id = '2'")
    rollback(shop.target, shop.files, 2)
    assert shop.schema() == before


def test_both_options_make_one_key_of_the_tenant_for_the_rows_that_are_kept(shop: Shop) -> None:
    shop.change(thing(tenant="tenant_id", soft_delete=True))
    made = [text for text in shop.schema() if text.startswith("CREATE UNIQUE INDEX")]
    assert made == [
        f"CREATE UNIQUE INDEX uq_thing_{name} ON thing (tenant_id, {name}) WHERE deleted_at IS NULL"
        for name in ("code", "name")
    ]
    shop.sql("DROP INDEX uq_thing_code")
    (missing,) = status(shop.target, shop.files, [thing(tenant="tenant_id", soft_delete=True)]).drift
    assert missing == "the index uq_thing_code of thing is missing"
    (found,) = shop.target.reading(lambda connection: drift(connection, [thing(tenant="tenant_id", soft_delete=True)]))
    assert not found.harmless  # two rows might have one value


def test_a_database_without_partial_indexes_has_a_column_for_it() -> None:
    texts = "\n".join(create_statements([thing(tenant="tenant_id", soft_delete=True)], MysqlDialect()))
    assert "mainstay_kept TINYINT(1) GENERATED ALWAYS AS (if(deleted_at IS NULL, 1, NULL))" in texts
    assert "CREATE UNIQUE INDEX uq_thing_name ON thing (tenant_id, name, mainstay_kept)" in texts
