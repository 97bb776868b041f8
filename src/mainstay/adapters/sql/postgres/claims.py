"""Advisory locks: numbers that one session holds, asked for many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from mainstay.adapters.sql.outages import ConnectionLost, away
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.postgres.link import Link
from mainstay.adapters.sql.session_claims import HeldClaims
from mainstay.model.problem import Problem

_TAKE = "SELECT pg_try_advisory_lock(k) FROM unnest($1::bigint[]) WITH ORDINALITY AS asked(k, n) ORDER BY n"
_DROP = "SELECT pg_advisory_unlock(k) FROM unnest($1::bigint[]) AS held(k)"
_SECONDS = 5.0


class AdvisoryLocks:
    """The locks that the claims of one process are. They are of a whole database: ``space`` keeps services apart."""

    def __init__(self, space: str = "") -> None:
        self._space = space.encode() + b"\x00" if space else b""

    async def take(self, link: Link, keys: Sequence[bytes]) -> Sequence[bool]:
        """Take the locks of keys that no other session holds; tell of each whether it was."""
        rows = await link.fetch(_TAKE, ([number_of(self._space + key) for key in keys],), _SECONDS)
        return [bool(taken) for (taken,) in rows]

    async def drop(self, link: Link, keys: Sequence[bytes]) -> None:
        """Let locks go."""
        await link.fetch(_DROP, ([number_of(self._space + key) for key in keys],), _SECONDS)


class TransactionClaims(HeldClaims):
    """Claims behind a transaction pooler, where no session is ours: each holds a transaction open, with its lock."""

    def __init__(self, pool: Callable[[], Pool[Link]], begin: str, space: str = "") -> None:
        self._space = space.encode() + b"\x00" if space else b""
        self._pool = pool
        self._begin = begin
        self._held: dict[bytes, Link | None] = {}

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held[key] = None
        pool = self._pool()
        link: Link | None = None
        try:
            link = await pool.take(_SECONDS)
            await link.execute(self._begin, _SECONDS)
            rows = await link.fetch("SELECT pg_try_advisory_xact_lock($1)", (number_of(self._space + key),), _SECONDS)
        except BaseException as error:
            del self._held[key]
            if link is not None:
                link.terminate()
                pool.give(link)
            if isinstance(error, ConnectionLost):
                raise away(error) from error
            raise
        if rows[0][0]:
            self._held[key] = link
            return True
        del self._held[key]
        await self._end(link)
        return False

    async def drop(self, key: bytes) -> None:
        link = self._held.pop(key, None)
        if link is not None:
            await self._end(link)

    async def _end(self, link: Link) -> None:
        try:
            await link.execute("ROLLBACK", _SECONDS)
        except (ConnectionLost, Problem):
            link.terminate()
        finally:
            self._pool().give(link)

    async def stop(self) -> None:
        for key in list(self._held):
            await self.drop(key)


def number_of(key: bytes) -> int:
    """Return the number of a claim's lock."""
    return int.from_bytes(blake2b(key, digest_size=8, person=b"mainstay").digest(), signed=True)
