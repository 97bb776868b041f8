"""A database as migrations see it: where it is, and how to work on it alone or to look at it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mainstay.adapters.sql.migrations.stepping import Stepper

T = TypeVar("T")


class Target(ABC):
    """One database. Its text names it for people, without any secret. Every method raises ``MigrationFault``."""

    dialect: ClassVar[str]
    """The name that SQLAlchemy has for its kind."""

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
        """Do work in one transaction that nobody else migrates in, and commit it where all is well.

        Where a change of the schema commits, it is taken up again instead, behind what is done.
        """

    @abstractmethod
    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work that changes nothing."""

    def settle(self, wait_seconds: float, *, shared: bool) -> None:  # noqa: B027 - most have nothing of the kind
        """Bring to the schema what the model says and no file does; ``shared``: what an older version can live with."""

    def stepping(self, work: Callable[[sa.Connection, Stepper | None], T], wait_seconds: float) -> T:
        """Do work alone that commits each of its steps, on a connection that is in no transaction.

        A step waits for locks in turns so short that nobody behind it notices, for ``wait_seconds`` in all. Where
        ``held`` has nothing to add for others that are at work meanwhile, it is that, and there is no stepper.
        """
        return self.held(lambda connection: work(connection, None), wait_seconds)
