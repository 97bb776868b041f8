"""A group: one transaction of the writer, shared by the calls whose turns fell into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Failure = Callable[[], Exception]  # makes one exception per call: a shared one would gather every call's traceback


class Group:
    """One transaction: the turns taken in it and the calls that wait for its end."""

    __slots__ = ("_failure", "_settled", "_waiting", "idle_check", "left", "until")

    def __init__(self, calls: int, until: float) -> None:
        self.left = calls
        self.until = until
        self.idle_check = False
        self._waiting: list[tuple[asyncio.Future[None], Exception | None]] = []
        self._settled = False
        self._failure: Failure | None = None

    def end(self, refusal: Exception | None = None) -> asyncio.Future[None]:
        """Return a future of the group's end: its failure, or else ``refusal``, or else None."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._settled:
            self._answer(future, refusal)
        else:
            self._waiting.append((future, refusal))
        return future

    def settle(self, failure: Failure | None) -> None:
        """Answer everyone who waits for the end, and those still to come."""
        self._settled, self._failure = True, failure
        waiting, self._waiting = self._waiting, []
        for future, refusal in waiting:
            self._answer(future, refusal)

    def _answer(self, future: asyncio.Future[None], refusal: Exception | None) -> None:
        if future.done():  # its call was cancelled while it waited; the group's end does not depend on it
            return
        if self._failure is not None:
            future.set_exception(self._failure())
        elif refusal is not None:
            future.set_exception(refusal)
        else:
            future.set_result(None)
