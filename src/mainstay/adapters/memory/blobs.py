"""Objects in the memory of this process."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from mainstay.ports.blobs import Blob, BlobChanged, BlobExists, BlobMissing, Blobs, checked_key
from mainstay.ports.clock import Clock

_PART = 256 << 10


class _Held(NamedTuple):
    content: bytes
    etag: str
    modified: datetime


class MemoryBlobs(Blobs):
    """Objects that end with the process, for tests and for trying things out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}

    async def put(self, key: str, content: bytes | AsyncIterable[bytes], *, replace: bool = True) -> Blob:
        """Store an object."""
        checked_key(key)
        whole = content if isinstance(content, bytes) else b"".join([part async for part in content])
        if not replace and key in self._held:
            raise BlobExists
        self._held[key] = _Held(whole, blake2b(whole, digest_size=12).hexdigest(), self._clock.now())
        return self._blob(key)

    async def get(self, key: str) -> Blob:
        """Return an object."""
        if checked_key(key) not in self._held:
            raise BlobMissing
        return self._blob(key)

    def _blob(self, key: str) -> Blob:
        held = self._held[key]

        async def read(start: int, stop: int | None) -> AsyncIterator[bytes]:
            now = self._held.get(key)
            if now is None or now.etag != held.etag:
                raise BlobChanged
            end = len(held.content) if stop is None else min(stop, len(held.content))
            for at in range(start, end, _PART):
                yield held.content[at : min(at + _PART, end)]

        return Blob(key, size=len(held.content), etag=held.etag, modified=held.modified, read=read)

    async def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return checked_key(key) in self._held

    async def delete(self, key: str) -> None:
        """Remove an object."""
        self._held.pop(checked_key(key), None)

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[Blob]:
        """Give the objects of a prefix in order."""
        keys = sorted(self._held)
        for key in keys[bisect_left(keys, max(prefix, after)) :]:
            if not key.startswith(prefix):
                break
            if key > after and key in self._held:
                yield self._blob(key)
