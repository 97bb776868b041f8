"""What a use case may take and give besides its own types: pages, searches, patches, files, streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import msgspec

from mainstay.model.conditions import TRUE, Condition
from mainstay.model.problem import TooLarge

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_DEPTH = 2
MAX_READ = 16 << 20  # bytes of an upload that are read at once, unless more is asked for
_PART = 64 << 10


class Sort(msgspec.Struct, frozen=True):
    """One key of an order: ``Sort("created_at", descending=True)``."""

    field: str
    descending: bool = False


class Find(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A search as a caller asked for it: filters, order, page, fields and relations of one entity.

    The query string ``?price[gte]=10&sort=-created_at&limit=20&cursor=...&count=exact&fields=id,name&include=lines``.
    ``unread`` are fields that nobody will look at: what rows hold in them is left open.
    """

    condition: Condition = TRUE
    sort: tuple[Sort, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    count: bool = False
    fields: tuple[str, ...] | None = None
    include: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True, omit_defaults=True):
    """A part of a list: its items, the cursor of the next part (none: this was the last), the count where asked."""

    items: list[T]
    next: str | None = None
    count: int | None = None


class Patch(Generic[T]):
    """The changes of a merge patch (RFC 7396) to a ``T``: what is absent stays, what is null becomes null.

    Its values are validated as the fields of ``T`` that a caller may write.
    """

    __slots__ = ("changes",)

    def __init__(self, changes: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        self.changes: dict[str, Any] = {**(changes or {}), **fields}

    def __contains__(self, name: str) -> bool:
        return name in self.changes

    def __getitem__(self, name: str) -> Any:
        return self.changes[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patch) and other.changes == self.changes

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it holds a dict

    def __repr__(self) -> str:
        return f"Patch({', '.join(self.changes)})"


class _ManyMarker:
    """Marks a relation's type in ``Annotated``."""


class _OneMarker:
    """Marks a relation to one row in ``Annotated``."""


MANY = _ManyMarker()
ONE = _OneMarker()


if TYPE_CHECKING:
    Many = list
    One: TypeAlias = T | None
else:

    class One:
        """The type of a to-one relation: a row or None where it was loaded, left out where it was not."""

        def __class_getitem__(cls, item):
            return Annotated[Union[item, msgspec.UnsetType, None], ONE]  # noqa: UP007 - item may be a string

    class Many:
        """The type of a to-many relation: a list of rows where it was loaded, left out where it was not."""

        def __class_getitem__(cls, item):
            return Annotated[Union[list[item], msgspec.UnsetType], MANY]  # noqa: UP007 - item may be a string


def many_of(annotation: Any) -> Any:
    """Return the entity of a ``Many[...]`` annotation, or None where it is another one."""
    if get_origin(annotation) is Annotated and MANY in get_args(annotation):
        return get_args(get_args(get_args(annotation)[0])[0])[0]
    return None


def one_of(annotation: Any) -> Any:
    """Return the entity of a ``One[...]`` annotation, or None where it is another one."""
    if get_origin(annotation) is Annotated and ONE in get_args(annotation):
        return get_args(get_args(annotation)[0])[0]
    return None


class Content(Protocol):
    """Bytes that are read part by part: a file on disk, an object of a store.

    ``etag`` names these bytes and no others (RFC 9110, section 8.8, without quotes).
    """

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def etag(self) -> str:
        """What tells these bytes from others."""

    @property
    def modified(self) -> datetime | None:
        """When they were last changed, where that is known."""

    def read(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from ``start`` to before ``stop`` (None: the end), in parts."""


class Kept(Protocol):
    """Where the bytes of an upload are for as long as its call lasts."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def read(self) -> AsyncIterator[bytes]:
        """Give all bytes, in parts. Raises ``RuntimeError`` once the call has ended."""

    async def save(self, path: Path) -> None:
        """Write all bytes to a file, which is there whole or not at all."""


class _Held:
    """The bytes of an upload that a test has made."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    async def read(self) -> AsyncIterator[bytes]:
        """Give all bytes, in parts."""
        for start in range(0, self.size, _PART):
            yield self.content[start : start + _PART]

    async def save(self, path: Path) -> None:
        """Write all bytes to a file."""
        path.write_bytes(self.content)  # noqa: ASYNC240 - in a test, which waits for nothing else


class Upload:
    """A file that the caller sends: its media type, its name where one was given, and its bytes, which are bounded.

    A large one is on disk while its call lasts, and never in memory as a whole: iterate with ``async for``, ``save`` it
    to a file, or put it to ``Blobs``. It is gone when the call has ended. The name is the client's word: it has no
    folders in it, and is still no name to save under. A test makes one of bytes.
    """

    __slots__ = ("_kept", "filename", "media_type")

    def __init__(
        self, content: bytes | Kept, *, media_type: str = "application/octet-stream", filename: str | None = None
    ) -> None:
        self._kept: Kept = _Held(content) if isinstance(content, bytes) else content
        self.media_type: str = media_type
        self.filename: str | None = filename

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._kept.size

    async def read(self, at_most: int = MAX_READ) -> bytes:
        """Return all bytes. Raises ``TooLarge`` where they are more than ``at_most``: take such a file in parts."""
        if self.size > at_most:
            raise TooLarge(f"the file is larger than {at_most} bytes", limit=at_most)
        return b"".join([part async for part in self._kept.read()])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._kept.read():
            yield part

    async def save(self, path: Path | str) -> None:
        """Write all bytes to a file, which is there whole or not at all. Raises ``OSError``."""
        await self._kept.save(Path(path))

    def __repr__(self) -> str:
        return f"Upload({self.size} bytes, {self.media_type})"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is a file: bytes, a path, or an object of a store (what ``Blobs.get`` returns).

    Its parts can be asked for, and whether it has changed (RFC 9110, sections 13 and 14). ``filename`` is the name to
    save it under; ``inline`` lets a browser show it instead, which is for content that is yours: what others have sent
    may be a page with scripts. ``etag`` (without quotes) and ``modified`` stand in for those of the content.
    """

    content: bytes | Path | Content
    media_type: str = "application/octet-stream"
    filename: str | None = None
    inline: bool = False
    etag: str | None = None
    modified: datetime | None = None


class Stream(Generic[T]):
    """An answer that is sent item by item as the iterator gives them; the read snapshot lives as long as the stream.

    A use case may be an async generator, ``-> AsyncIterator[Item]``, as well.
    """

    __slots__ = ("items",)

    def __init__(self, items: AsyncIterator[T]) -> None:
        self.items: AsyncIterator[T] = items


class ResumePoint(msgspec.Struct, frozen=True):
    """A marker in ``Annotated``: see ``resume_after``."""

    field: str


def resume_after(field: str = "id") -> ResumePoint:
    """Mark the parameter from which a stream goes on: ``after: Annotated[int | None, resume_after("number")] = None``.

    Each item is named by its ``field``. A caller that was cut off gives the last name that it has, as
    ``Last-Event-ID`` (a browser's ``EventSource`` does by itself) or in the query, ``?after=...``.
    """
    return ResumePoint(field)


class RawBody(bytes):
    """The body as it came, for a use case that checks a signature over it or reads a format of its own.

    A subclass may name the ``media_type`` that it takes; a body of another type is refused then.
    """

    media_type: ClassVar[str] = "*/*"


class RawForm(RawBody):
    """The body as a web form is sent without files (URL standard, section 5), for protocols that ask for that."""

    media_type: ClassVar[str] = "application/x-www-form-urlencoded"
