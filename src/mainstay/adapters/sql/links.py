"""A connection to a database server, as pools and transactions use it: what every engine's own has."""

# ruff: noqa: ASYNC109 - a time-out ends the statement in the way that the driver has for it

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Link(Protocol):
    """One connection, used by one call at a time.

    ``used`` is when it was given back last; ``cut`` says that something was given up in the midst of it, which the
    server may take a moment to let go.
    """

    used: float
    cut: bool

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    async def fetch(self, statement: str, bindings: Sequence[Any], timeout: float | None = None) -> list[Any]:
        """Run a statement and return its rows."""

    async def change(self, statement: str, bindings: Sequence[Any], timeout: float | None = None) -> int:
        """Run a statement that changes rows, and return how many it met."""

    async def execute(self, script: str, timeout: float | None = None) -> object:
        """Run a statement that takes no values."""

    async def commit(self, timeout: float | None = None) -> bool:
        """Commit, and return whether it was: a server may answer that the transaction was rolled back."""

    def when_ended(self, told: Callable[[Any], None]) -> None:
        """Be told, with the link, when the connection has ended, whoever ended it."""

    def terminate(self) -> None:
        """End the connection at once."""

    async def close(self) -> None:
        """End the connection in good order."""
