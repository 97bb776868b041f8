"""A database as migrations see it: where it is, and how to work on it alone or to look at it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class Target(ABC):
    """One database. Its text names it for people, without any secret. Every method raises ``MigrationFault``."""

    @abstractmethod
    def __str__(self) -> str:
        """Return its name."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether it is there."""

    @abstractmethod
    def schema(self) -> dict[str, set[str]]:
        """Return the columns of each table, read without Alembic: a service asks for them at every start."""

    @abstractmethod
    def revision(self) -> str | None:
        """Return the revision that it is at, or None where it is not there or empty; without Alembic too."""

    def unfit(self) -> list[str]:
        """Return what keeps its columns from holding all that the model's fields may hold; without Alembic too."""
        return []

    @abstractmethod
    def held(self, work: Callable[[sa.Connection], T], wait_seconds: float) -> T:
        """Do work in one transaction that nobody else migrates in, and commit it where all is well."""

    @abstractmethod
    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work that changes nothing."""
