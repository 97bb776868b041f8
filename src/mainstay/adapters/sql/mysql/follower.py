"""A replica of MariaDB or MySQL that queries are sent to, and how far it has come by global transaction ids."""

from __future__ import annotations

from collections.abc import Callable

from mainstay.adapters.sql.mysql.link import Link
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.replica import Replica, ask

_MARIADB = ("SELECT @@GLOBAL.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT(?, 0) = 0")
_MYSQL = ("SELECT @@GLOBAL.gtid_executed", "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)")


class Follower(Replica[Link]):
    """Compares sets of global transaction ids: what was committed before the primary was asked is in its set.

    A primary without a binary log, or without ids in it, tells none: its replica is taken to be behind.
    """

    def __init__(
        self,
        pool: Pool[Link],
        primary: Pool[Link],
        seconds: float,
        clock: Callable[[], float],
        mariadb: Callable[[], bool],
    ) -> None:
        super().__init__(pool, primary, seconds, clock)
        self._mariadb = mariadb

    async def _committed(self) -> object:
        return await ask(self.primary, (_MARIADB if self._mariadb() else _MYSQL)[0])

    async def _applied(self, place: object) -> bool:
        return bool(place) and bool(await ask(self.pool, (_MARIADB if self._mariadb() else _MYSQL)[1], place))
