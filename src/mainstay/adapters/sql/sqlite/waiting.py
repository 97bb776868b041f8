"""The wait for a turn, as an awaitable of its own: a Task for each wait would cost more than the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from mainstay.model.problem import DeadlineExceeded

if TYPE_CHECKING:
    from mainstay.adapters.sql.sqlite.turn import Turn
    from mainstay.adapters.sql.sqlite.writer import GroupWriter


class TurnToCome:
    """A turn that is given in order: the call is in the queue from when this is awaited, once.

    A wait that is given up, by cancellation or after ``patience`` seconds, leaves the queue; a turn that was given in
    that moment is abandoned. Needs no Task, so that a call that is driven without one can use it.
    """

    __slots__ = ("_owner", "_patience", "_writer")

    def __init__(self, writer: GroupWriter, owner: asyncio.Task[Any] | None, patience: float | None) -> None:
        self._writer = writer
        self._owner = owner
        self._patience = patience

    def __await__(self) -> Generator[Any, Any, Turn]:
        writer, patience = self._writer, self._patience
        future = writer.enqueue(self._owner)
        timer = None
        if patience is not None:
            timer = future.get_loop().call_later(max(patience, 0.0), _give_up, future)
        try:
            return (yield from future)
        except BaseException:
            writer.withdraw(future)
            raise
        finally:
            if timer is not None:
                timer.cancel()


def _give_up(future: asyncio.Future[Turn]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the call waited for the database's writer until its deadline"))
