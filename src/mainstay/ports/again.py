"""Commands that met a conflict, and are run again: one at a time within a process, so that they meet no more."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet


class Line:
    """Where the second attempts of commands stand in line, in a store that tells conflicts only behind the fact.

    A task whose command met a conflict holds the line during its next one. First attempts never wait.
    """

    __slots__ = ("_lock", "_met")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._met: WeakSet[asyncio.Task[Any]] = WeakSet()

    def met(self) -> None:
        """Note that the command of this task met a conflict."""
        task = asyncio.current_task()
        if task is not None:
            self._met.add(task)

    async def enter(self) -> bool:
        """Stand in line where the command before met a conflict; say whether the line is now held: ``leave`` it."""
        task = asyncio.current_task()
        if task is None or task not in self._met:
            return False
        self._met.discard(task)
        await self._lock.acquire()
        return True

    def leave(self) -> None:
        """Let the next one go."""
        self._lock.release()
