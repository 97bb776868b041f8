"""What one call of ``Rows`` costs on SQLite: ``python bench/sql_rows.py``. Microseconds, the best of five rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import uvloop

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import TRUE, Compare
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.ports.rows import Query
from mainstay.ports.store import Table

ROWS, CALLS, ROUNDS = 10_000, 5_000, 5
NOW = datetime(2026, 11, 23, 10, 20, 30, 123456, UTC)


class Product(Entity):
    """Eight columns, of them a UUID, a Decimal and two times."""

    sku: str = field(unique=True, max_length=40)
    name: str = field(max_length=200)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0, default=0)


async def measure(name: str, call: Callable[[int], Awaitable[Any]], calls: int = CALLS) -> None:
    """Print what a call costs."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = perf_counter()
        for number in range(calls):
            await call(number * 379 % ROWS)
        best = min(best, (perf_counter() - begun) / calls)
    print(f"| {name} | {best * 1e6:.1f} us |")


async def main() -> None:
    """Fill a file and measure reads of it."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "bench.db", create=True, synchronous="off")
        await store.start([Table(shape=shape_of(Product), name="product", module="bench")])
        times: dict[str, Any] = {"version": 1, "created_at": NOW, "updated_at": NOW}
        ids = [UUID(int=(0x0190_0000_0000 + n << 80) | (7 << 76) | (2 << 62) | n) for n in range(ROWS)]
        begun = store.begin(write=True)
        price = Decimal("12.50")
        begun.rows(Product).insert(
            [Product(id=id_, sku=f"S{n}", name="a name", price=price, **times) for n, id_ in enumerate(ids)]
        )
        await begun.commit()

        def rows(single: bool = True) -> Any:
            return store.begin(write=False, single=single).rows(Product)

        async def in_snapshot(n: int) -> None:
            query = store.begin(write=False)
            await query.rows(Product).get(ids[n], TRUE)
            await query.commit()

        policy = Compare("name", "eq", "a name")
        await measure("get", lambda n: rows().get(ids[n], TRUE))
        await measure("get under a row policy", lambda n: rows().get(ids[n], policy))
        await measure("get in a snapshot of several reads", in_snapshot)
        await measure(
            "one by a unique field", lambda n: rows().fetch(Query(where=Compare("sku", "eq", f"S{n}"), limit=2))
        )
        page = Query(sort=(Sort("id"),), limit=50)
        await measure("a page of 50", lambda _: rows().fetch(page), CALLS // 10)
        await store.stop()


if __name__ == "__main__":
    uvloop.run(main())
