"""Stream ``--count`` rows from a database, in two orders, and watch that memory does not grow with their number.

The rows are added by ``Bulk``, read by ``Repository.stream`` in a query, and counted and summed on the way: none may be
missing, and none may come twice. Anonymous memory of the process, looked at every 2,000 rows, may rise by 24 MB.
``--postgres URL`` takes a schema of its own on that server instead of a SQLite file.

    scripts/drill stream --count 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

PORTION, EVERY, ALLOWED_MB = 5_000, 2_000, 24.0


@asynccontextmanager
async def store_of(postgres: str | None) -> AsyncIterator[Any]:
    """Give a store that is not started: on a file, or in a schema that is gone afterwards."""
    if postgres is None:
        from mainstay.adapters.sql.sqlite_store import SqliteStore

        with tempfile.TemporaryDirectory() as folder:
            yield SqliteStore(Path(folder) / "rows.sqlite", create=True, synchronous="off")
        return
    import asyncpg

    from mainstay.adapters.sql.postgres_store import PostgresStore

    schema = f"drill_{uuid4().hex[:12]}"
    raw = await asyncpg.connect(postgres)
    try:
        await raw.execute(f"CREATE SCHEMA {schema}")
        yield PostgresStore(postgres, create=True, schema=schema, synchronous="off")
    finally:
        await raw.execute(f"DROP SCHEMA {schema} CASCADE")
        await raw.close()


async def run(count: int, seed: int, postgres: str | None) -> dict[str, Any]:
    """Fill, stream and judge."""
    from watch import held

    from mainstay.testing.conformance.model import TABLES, Reader
    from mainstay.testing.conformance.world import World

    chance, faults, figures = random.Random(seed), {}, {}
    async with store_of(postgres) as store:
        world = World(store)
        await store.start([table for table in TABLES if table.shape.type is Reader])
        try:
            for start in range(0, count, PORTION):
                names = [f"{n:09} {'x' * chance.randrange(200)}" for n in range(start, min(start + PORTION, count))]
                async with world.command() as hands:
                    await hands.bulk(Reader).add_all(Reader(name=name) for name in names)
            for sort in ("id", "-name"):
                begun, seen, total, peak = time.monotonic(), 0, 0, 0.0
                own = held(os.getpid()).own
                last: tuple[str, UUID] | None = None
                async with world.query() as hands:
                    async for row in hands.rows(Reader).stream(sort=sort):
                        key = (row.name, row.id)
                        if last is not None and (key <= last if sort == "id" else key >= last):
                            faults[f"order {sort}"] = row.name
                        last = key
                        seen, total = seen + 1, total + int(row.name[:9])
                        if seen % EVERY == 0:
                            peak = max(peak, held(os.getpid()).own - own)
                if (seen, total) != (count, count * (count - 1) // 2):
                    faults[f"rows {sort}"] = [seen, total]
                if peak > ALLOWED_MB:
                    faults[f"memory {sort}"] = round(peak, 1)
                figures[sort] = {"grown_mb": round(peak, 1), "rows_a_second": int(seen / (time.monotonic() - begun))}
        finally:
            await store.stop()
    return {"ok": not faults, "seed": seed, "rows": count, **figures, **faults}


def main(arguments: Sequence[str]) -> int:
    """Stream ``--count`` rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", default=None, metavar="URL")
    parser.add_argument("--package", default=None, help="the folder of another copy of the package")
    wanted = parser.parse_args(arguments)
    if wanted.package is not None:
        sys.path.insert(0, wanted.package)
    told = asyncio.run(run(wanted.count, wanted.seed, wanted.postgres))
    print(json.dumps(told))
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
