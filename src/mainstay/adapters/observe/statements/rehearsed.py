"""A store in front of another one, in which nothing is kept: for looking at what a command would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstay.adapters.observe.statements.store import WatchedStore, WatchedTransaction
from mainstay.ports.store import Transaction


class RehearsedStore(WatchedStore):
    """Does what ``store`` does, but that a commit carries out what is queued and then undoes all of it.

    Nobody is told that there are events, for there are none.
    """

    def begin(self, **how: Any) -> Transaction:
        return RehearsedTransaction(self.store.begin(**how), self._watch.begun(), self._kept)

    def ring(self) -> None:
        """Tell nobody."""

    def listen(self, heard: Callable[[], None]) -> None:
        """Hear of nothing."""


class RehearsedTransaction(WatchedTransaction):
    """Does what ``transaction`` does, and commits nothing."""

    __slots__ = ()

    async def commit(self) -> None:
        """Carry out all writes, so that what is wrong with them surfaces, and undo them."""
        await self.flush()
        await self.rollback()
