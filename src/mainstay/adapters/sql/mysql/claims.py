"""User-level locks (GET_LOCK): names that one session holds, asked for many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from mainstay.adapters.sql.mysql.link import Link

_SECONDS = 5.0
_AT_ONCE = 64


class UserLocks:
    """The locks that the claims of one process are. They belong to the server, so their names tell the database."""

    def __init__(self, database: str) -> None:
        self._salt = database.encode()

    async def take(self, link: Link, keys: Sequence[bytes]) -> Sequence[bool]:
        """Take the locks of keys that no other session holds; tell of each whether it was."""
        return [taken == 1 for taken in await self._ask(link, "GET_LOCK(?, 0)", keys)]

    async def drop(self, link: Link, keys: Sequence[bytes]) -> None:
        """Let locks go."""
        await self._ask(link, "RELEASE_LOCK(?)", keys)

    async def _ask(self, link: Link, call: str, keys: Sequence[bytes]) -> list[int | None]:
        told: list[int | None] = []
        for start in range(0, len(keys), _AT_ONCE):
            names = [self._name(key) for key in keys[start : start + _AT_ONCE]]
            (row,) = await link.fetch(f"SELECT {', '.join([call] * len(names))}", names, _SECONDS)
            told.extend(row)
        return told

    def _name(self, key: bytes) -> str:
        """Return the name of a claim's lock: of at most 64 characters, as MySQL asks."""
        hashed = blake2b(key, digest_size=20, key=blake2b(self._salt, digest_size=32).digest())
        return f"mainstay:{hashed.hexdigest()}"
