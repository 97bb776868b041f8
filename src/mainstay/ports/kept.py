"""Rows of a page that nobody looks at on their way out: kept as the store gave them, and told as JSON without entities.

A use case that gives out the page of its repository as it is never sees a row of it, which the kernel finds out at
start-up. Where somebody does look (a caller in this process, an answer of which a caller is shown a part), entities are
made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from mainstay.model.inputs import Page
from mainstay.model.structs import Entity

E = TypeVar("E", bound=Entity)


class Kept(ABC, Generic[E]):
    """Rows in order, of which no entities were made."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def cut(self, size: int) -> None:
        """Let go of the rows behind the first ``size``."""

    @abstractmethod
    def ends_with(self, fields: Sequence[str]) -> list[Any]:
        """Return the values of these fields in the last row."""

    @abstractmethod
    def made(self) -> list[E]:
        """Return the entities."""

    @abstractmethod
    def told(self) -> bytes | None:
        """Return the list of entities in JSON, byte for byte as msgspec writes it, or None where it must write it."""


class KeptPage(Generic[E]):
    """A page of kept rows. It is no ``Page``: a use case never has one in its hands."""

    __slots__ = ("count", "items", "next")

    def __init__(self, *, items: Kept[E], next: str | None, count: int | None) -> None:
        self.items: Kept[E] = items
        self.next: str | None = next
        self.count: int | None = count

    def page(self) -> Page[E]:
        """Return the page that a use case would have been given."""
        return Page(items=self.items.made(), next=self.next, count=self.count)


def plain(result: Any) -> Any:
    """Return what a use case returned as it would be without any kept rows."""
    return result.page() if type(result) is KeptPage else result
