"""What a use case may take and give besides its own types: pages, searches, patches, files, streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from mainstay.model.conditions import TRUE, Condition

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_DEPTH = 2


class Sort(msgspec.Struct, frozen=True):
    """One key of an order: ``Sort("created_at", descending=True)``."""

    field: str
    descending: bool = False


class Find(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A search as a caller asked for it: filters, order, page, fields and relations of one entity.

    The query string ``?price[gte]=10&sort=-created_at&limit=20&cursor=...&count=exact&fields=id,name&include=lines``.
    """

    condition: Condition = TRUE
    sort: tuple[Sort, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    count: bool = False
    fields: tuple[str, ...] | None = None
    include: tuple[str, ...] = ()


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


MANY = _ManyMarker()


if TYPE_CHECKING:
    Many = list
else:

    class Many:
        """The type of a to-many relation: a list of rows where it was loaded, left out where it was not."""

        def __class_getitem__(cls, item):
            return Annotated[Union[list[item], msgspec.UnsetType], MANY]  # noqa: UP007 - item may be a string


def many_of(annotation: Any) -> Any:
    """Return the entity of a ``Many[...]`` annotation, or None where it is another one."""
    if get_origin(annotation) is Annotated and MANY in get_args(annotation):
        return get_args(get_args(get_args(annotation)[0])[0])[0]
    return None


class Upload:
    """A file that the caller sends: its media type, its name where one was given, and its bytes, bounded.

    ``read()`` gives all of it; iterate with ``async for`` for parts.
    """

    __slots__ = ("_content", "filename", "media_type")

    def __init__(
        self, content: bytes, *, media_type: str = "application/octet-stream", filename: str | None = None
    ) -> None:
        self._content = content
        self.media_type: str = media_type
        self.filename: str | None = filename

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._content)

    async def read(self) -> bytes:
        """Return all bytes."""
        return self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 65536):
            yield self._content[start : start + 65536]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is a file: its content as bytes or as a path, the media type, and the name to save it under."""

    content: bytes | Path
    media_type: str = "application/octet-stream"
    filename: str | None = None


class Stream(Generic[T]):
    """An answer that is sent item by item as the iterator gives them; the read snapshot lives as long as the stream."""

    __slots__ = ("items",)

    def __init__(self, items: AsyncIterator[T]) -> None:
        self.items: AsyncIterator[T] = items


class RawBody(bytes):
    """The body as it came, for a use case that checks a signature over it or reads a format of its own."""
