"""Rows of PostgreSQL to entities: many are read by columns, and must be what they are one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mainstay.adapters.sql.codec import RowUnreadable
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.statements import Statements
from mainstay.model.conditions import TRUE
from mainstay.model.fields import field
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.store import Table

SECOND = 1_000_000
MADE = datetime(2026, 11, 30, 12, 0, 0, 1, UTC)
NUMBER = (26 * 365 + 7 + 333) * 86_400 * SECOND + 12 * 3600 * SECOND + 1  # of MADE, since 2000


class Parcel(Entity):
    """A row with what PostgreSQL sends as bytes, there or not, and a secret of that kind."""

    price: Decimal = field(digits=12, places=2)
    fee: Decimal | None = field(digits=12, places=2, default=None)
    sent: datetime | None = None
    holder: UUID | None = None
    key: Secret[UUID]


def _row(number: int, sent: int | None, holder: int | None, updated: int = NUMBER) -> tuple[Any, ...]:
    row = {
        "id": UUID(int=number).bytes,
        "version": 1,
        "created_at": _cell(NUMBER),
        "updated_at": _cell(updated),
        "price": "12.50",
        "fee": None if sent is None else f"{number}.25",
        "sent": None if sent is None else _cell(sent),
        "holder": None if holder is None else UUID(int=holder).bytes,
        "key": UUID(int=7),
    }
    return tuple(row[name] for name in _statements().columns.by_name)


def _cell(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def _statements() -> Statements:
    return Statements(Table(shape=shape_of(Parcel), name="parcel", module="parcels"), PostgresDialect())


@pytest.mark.parametrize(
    "rows",
    [
        [_row(1, NUMBER, 5), _row(2, NUMBER + 1, 6)],
        [_row(1, None, 5), _row(2, NUMBER + 1, None), _row(3, None, None)],
        [_row(1, NUMBER, 5), _row(2, NUMBER, 6, updated=NUMBER + SECOND)],
        [_row(1, 2**63 - 1, 5), _row(2, -(2**63), 6)],
    ],
)
def test_many_rows_are_what_they_are_one_by_one(rows: list[tuple[Any, ...]]) -> None:
    codec = _statements().codec
    many = codec.many(rows)
    assert many == [codec.one(row) for row in rows]
    assert [row.id for row in many] == [UUID(int=n + 1) for n in range(len(rows))]
    assert all(type(row.id) is UUID and row.created_at == MADE for row in many)
    assert many[-1].key.reveal() == UUID(int=7)


def test_no_rows_are_none() -> None:
    assert _statements().codec.many([]) == []


def test_a_row_that_was_changed_has_two_times() -> None:
    codec = _statements().codec
    row = _row(1, None, None, updated=NUMBER + SECOND)
    for found in (codec.one(row), *codec.many([row, row])):
        assert (found.updated_at - found.created_at).total_seconds() == 1.0


def test_a_value_that_does_not_fit_names_the_entity() -> None:
    codec = _statements().codec
    row = _row(1, None, None)
    with pytest.raises(RowUnreadable, match="Parcel"):
        codec.many([row, (b"short", *row[1:])])


def test_a_secret_is_selected_as_it_is() -> None:
    statement, _ = _statements().get(UUID(int=1), TRUE)
    assert 'pg_catalog.uuid_send("holder")' in statement
    assert 'pg_catalog.timestamptz_send("sent")' in statement
    assert ', "key"' in statement
