"""A standby of PostgreSQL that queries are sent to, and how far it has played back what the primary has written."""

from __future__ import annotations

from collections.abc import Callable

from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.postgres.link import Link
from mainstay.adapters.sql.replica import Replica, ask

_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::text"
_INSERTED = """
    SELECT (CASE WHEN place % page > 40 THEN place ELSE place - place % page END)::text
    FROM (SELECT pg_current_wal_insert_lsn() - '0/0' AS place, current_setting('wal_block_size')::int AS page) AS w
"""  # behind the header of a page there is nothing yet
_PLAYED_BACK = """
    SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() - '0/0' >= $1::text::numeric
"""  # one that was promoted is the primary: it has all


class Standby(Replica[Link]):
    """Compares places in the write-ahead log, in bytes from its begin: what was committed stands before the primary's.

    ``flushed``: commits are answered when they are on disk; else they may be in memory only.
    """

    def __init__(
        self,
        pool: Pool[Link],
        primary: Pool[Link],
        seconds: float,
        clock: Callable[[], float],
        *,
        flushed: bool,
    ) -> None:
        super().__init__(pool, primary, seconds, clock)
        self._query = _FLUSHED if flushed else _INSERTED

    async def _committed(self) -> object:
        return await ask(self.primary, self._query)

    async def _applied(self, place: object) -> bool:
        return bool(await ask(self.pool, _PLAYED_BACK, place))
