"""Advisory locks: numbers that one session holds, asked for many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from mainstay.adapters.sql.postgres.link import Link

_TAKE = "SELECT pg_try_advisory_lock(k) FROM unnest($1::bigint[]) WITH ORDINALITY AS asked(k, n) ORDER BY n"
_DROP = "SELECT pg_advisory_unlock(k) FROM unnest($1::bigint[]) AS held(k)"
_SECONDS = 5.0


class AdvisoryLocks:
    """The locks that the claims of one process are."""

    async def take(self, link: Link, keys: Sequence[bytes]) -> Sequence[bool]:
        """Take the locks of keys that no other session holds; tell of each whether it was."""
        rows = await link.fetch(_TAKE, ([_number(key) for key in keys],), _SECONDS)
        return [bool(taken) for (taken,) in rows]

    async def drop(self, link: Link, keys: Sequence[bytes]) -> None:
        """Let locks go."""
        await link.fetch(_DROP, ([_number(key) for key in keys],), _SECONDS)


def _number(key: bytes) -> int:
    """Return the number of a claim's lock."""
    return int.from_bytes(blake2b(key, digest_size=8, person=b"mainstay").digest(), signed=True)
