"""Objects of any size by key: files that were sent, pictures, exports. Rows name them; they are not rows."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable
from datetime import datetime

from mainstay.model.problem import Conflict, Invalid, NotFound

MAX_KEY = 512
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._!$'()+,;=@-]{1,200}")

Reading = Callable[[int, int | None], AsyncIterator[bytes]]


class BlobMissing(NotFound):
    """There is no such object."""


class BlobExists(Conflict):
    """An object of this key is there already."""


class BlobChanged(Conflict, hint="Read it again from its beginning."):
    """The object was replaced while it was read."""


class BlobKeyInvalid(
    Invalid, hint="Make keys of ids, for example invoices/0190a0b0-....pdf, and not of names that callers give."
):
    """A key is segments of letters, digits and ._!$'()+,;=@- with / between them."""


def checked_key(key: str) -> str:
    """Return a key that every store takes, and that leads nowhere else. Raises ``BlobKeyInvalid``."""
    segments = key.split("/")
    if len(key) > MAX_KEY or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise BlobKeyInvalid
    return key


class Blob:
    """One object, as it was found: ``read`` gives these bytes or raises ``BlobChanged``.

    It can be the content of a ``File``. ``etag`` names its bytes and no others.
    """

    __slots__ = ("_read", "etag", "key", "modified", "size")

    def __init__(self, key: str, *, size: int, etag: str, modified: datetime, read: Reading) -> None:
        self.key: str = key
        self.size: int = size
        self.etag: str = etag
        self.modified: datetime | None = modified
        self._read = read

    def read(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from ``start`` to before ``stop`` (None: the end), in parts. Raises ``BlobChanged``."""
        return self._read(start, stop)

    def __repr__(self) -> str:
        return f"Blob({self.key!r}, {self.size} bytes)"


class Blobs(ABC):
    """A store of objects. A write is seen whole or not at all, and outlives the process once it has returned.

    It is outside of the service's database: what was put stays though a transaction fails. Put first, then write the
    row that names the key; what no row names is swept by comparing ``list`` with the rows.
    """

    @abstractmethod
    async def put(self, key: str, content: bytes | AsyncIterable[bytes], *, replace: bool = True) -> Blob:
        """Store an object, taking its bytes as they come; an ``Upload`` is such content.

        Raises ``BlobKeyInvalid``, ``BlobExists`` where it must not ``replace``, and what the content raises: then
        nothing is stored.
        """

    @abstractmethod
    async def get(self, key: str) -> Blob:
        """Return an object. Raises ``BlobMissing`` and ``BlobKeyInvalid``."""

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """Whether there is an object of this key. Raises ``BlobKeyInvalid``."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already. Raises ``BlobKeyInvalid``."""

    @abstractmethod
    def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[Blob]:
        """Give the objects whose keys begin with ``prefix`` and come after ``after``, in the order of their keys."""
