"""Encrypted fields in migrations: a column of bytes, and no way to one from a column that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sql_shop import Shop, thing

from mainstay.adapters.sql.migrations import MigrationFault, status
from mainstay.model.fields import field
from mainstay.ports.encryption import stored_shape
from mainstay.ports.store import Table


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def stored(**fields: Any) -> Table:
    """Return the table of an entity as a store is given it."""
    made = thing(**fields)
    return msgspec.structs.replace(made, shape=stored_shape(made.shape))


SEALED = field(default=None, encrypted=True)


def test_a_new_field_is_a_column_of_bytes(shop: Shop) -> None:
    shop.change(stored(name=(str, "")))
    wanted = stored(name=(str, ""), card=(str | None, SEALED), born=(int | None, SEALED))
    shop.change(wanted)
    assert status(shop.target, shop.files, [wanted]).drift == ()
    assert [text for text in shop.schema() if "card BLOB" in text and "born BLOB" in text]


def test_one_that_must_have_a_value_is_refused(shop: Shop) -> None:
    shop.change(stored(name=(str, "")))
    told = r"thing.card is new and has no value .*: make its type optional"
    with pytest.raises(MigrationFault, match=told):
        shop.plan(stored(name=(str, ""), card=(str, field(default="none", encrypted=True))))


@pytest.mark.parametrize("kind", [str, int])
def test_a_column_that_is_there_is_not_encrypted_by_a_migration(shop: Shop, kind: Any) -> None:
    shop.change(stored(card=(kind | None, None)))
    told = "thing.card is to be encrypted, and a migration has no key: add an optional encrypted field of another name"
    with pytest.raises(MigrationFault, match=told):
        shop.plan(stored(card=(kind | None, SEALED)))


def test_nor_is_one_laid_open(shop: Shop) -> None:
    shop.change(stored(card=(str | None, SEALED)))
    with pytest.raises(MigrationFault, match="cannot be changed from bytes to text by itself"):
        shop.plan(stored(card=(str | None, None)))
