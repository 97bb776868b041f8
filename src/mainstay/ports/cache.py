"""A cache of values that may be lost at any time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Cache(ABC):
    """Values by key, bounded in number, each for a time, with single flight: one maker at a time for a key."""

    @abstractmethod
    async def get(self, key: str) -> Any | None:
        """Return the value, or None where there is none (any more)."""

    @abstractmethod
    async def set(self, key: str, value: Any, *, ttl: float, tags: tuple[str, ...] = ()) -> None:
        """Keep a value for ``ttl`` seconds, under tags that ``drop_tag`` may drop it by."""

    @abstractmethod
    async def get_or_make(
        self, key: str, make: Callable[[], Awaitable[T]], *, ttl: float, tags: tuple[str, ...] = ()
    ) -> T:
        """Return the value, made by ``make`` where there is none; concurrent callers of one key share one making."""

    @abstractmethod
    async def drop(self, key: str) -> None:
        """Forget a value."""

    @abstractmethod
    async def drop_tag(self, tag: str) -> None:
        """Forget all values that were kept under a tag."""
