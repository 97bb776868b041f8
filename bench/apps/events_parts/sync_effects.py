"""The effect of the peers with threads: a row, and the mark of its message, in one transaction of psycopg."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg_pool import ConnectionPool
from shared import CONNECTIONS, DATABASE, PLAIN, SHIPPING, OrderPlaced, log
from uuid_utils.compat import uuid7

_MARK = "INSERT INTO inbox (message, created_at) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_PACK = "INSERT INTO parcels VALUES (%s, 1, %s, %s, %s, %s, %s, %s)"


class Effects:
    """The consumer's database, opened at the first effect: a worker may have been forked before."""

    def __init__(self) -> None:
        self._pool: ConnectionPool | None = None

    def open(self) -> None:
        self._pool = ConnectionPool(DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS)
        with self._pool.connection() as connection:
            connection.execute(SHIPPING)

    def pack(self, payload: str) -> None:
        """Make the one parcel of an order, however often the event comes."""
        assert self._pool is not None
        event, now = OrderPlaced.model_validate_json(payload), datetime.now(UTC)
        with self._pool.connection() as connection:
            if not PLAIN and not connection.execute(_MARK, (event.event_id, now)).rowcount:
                return
            row = (uuid7(), now, now, event.order_id, event.customer_id, event.sku, event.quantity)
            connection.execute(_PACK, row)
        log("consumed", message=event.event_id, consumer="pack")
