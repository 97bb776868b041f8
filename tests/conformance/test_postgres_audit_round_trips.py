"""On PostgreSQL an audited write takes as many round trips as one that is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from postgres_schemas import SchemaStore, drop_schemas

from mainstay.adapters.sql.postgres.link import Link
from mainstay.ports.auditing import AuditRow
from mainstay.testing.conformance.model import Account, Reader
from mainstay.testing.conformance.world import ALICE, World, opened

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SchemaStore(tmp_path)
    try:
        async with opened(store, (Account, Reader, AuditRow)) as made:
            yield made
    finally:
        await drop_schemas({store.schema})


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to the server, and waited for."""
    sent: list[str] = []
    for name in ("_run", "execute"):
        inner: Any = getattr(Link, name)

        async def counted(self: Link, text: str, *more: Any, _inner: Any = inner, **named: Any) -> Any:
            sent.append(text)
            return await _inner(self, text, *more, **named)

        monkeypatch.setattr(Link, name, counted)
    return sent


async def test_an_add_is_one(world: World, trips: list[str]) -> None:
    counts = []
    for row in (Reader(name="r"), Account(name="a")):
        trips.clear()
        async with world.command(ALICE) as hands:
            await hands.rows(type(row)).add(row)
        counts.append(len(trips))
    assert counts[1] == counts[0] > 0, trips


async def test_a_change_of_what_was_read_is_as_many_as_before(world: World, trips: list[str]) -> None:
    counts = []
    for row, changes in ((Reader(name="r"), {"name": "s"}), (Account(name="a"), {"balance": Decimal(1)})):
        (added,) = await world.add(row, who=ALICE)
        trips.clear()
        async with world.command(ALICE) as hands:
            found = await hands.rows(type(added)).get(added.id)
            await hands.rows(type(added)).update(found, **changes)
        counts.append(len(trips))
    assert counts[1] == counts[0] > 0, trips
