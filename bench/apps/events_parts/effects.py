"""The effect of the asynchronous peers: a row, and the mark of its message, in one transaction of asyncpg."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
from shared import CONNECTIONS, DATABASE, PLAIN, SHIPPING, OrderPlaced, log
from uuid_utils.compat import uuid7

_MARK = "INSERT INTO inbox (message, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"
_PACK = "INSERT INTO parcels VALUES ($1, 1, $2, $2, $3, $4, $5, $6)"


async def _leave(_connection: asyncpg.Connection) -> None:
    """Reset nothing."""


class Effects:
    """The consumer's database."""

    _pool: asyncpg.Pool

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_leave)
        await self._pool.execute(SHIPPING)

    async def close(self) -> None:
        await self._pool.close()

    async def pack(self, event: OrderPlaced) -> None:
        """Make the one parcel of an order, however often the event comes."""
        now = datetime.now(UTC)
        row = (uuid7(), now, event.order_id, event.customer_id, event.sku, event.quantity)
        if PLAIN:
            await self._pool.execute(_PACK, *row)
        else:
            async with self._pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(_MARK, event.event_id, now) is None:
                    return
                await connection.execute(_PACK, *row)
        log("consumed", message=event.event_id, consumer="pack")
