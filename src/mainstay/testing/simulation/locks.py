"""Locks of rows and of unique values in a simulated database: waited for in turn, until a circle or the term is met."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from contextlib import suppress

from mainstay.model.problem import SerializationConflict

LOCK_SECONDS = 5.0
"""How long a transaction waits for a lock before it is undone."""


class Holder:
    """Who holds locks and waits for one at most. ``undone`` says why it can only be rolled back."""

    def __init__(self) -> None:
        self.locked: list[Hashable] = []
        self.wants: Hashable | None = None
        self.undone: Exception | None = None


class Locks:
    """All locks of a database. Like PostgreSQL's, they are exclusive, and held until the transaction ends."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Holder] = {}
        self._queues: dict[Hashable, deque[tuple[Holder, asyncio.Future[None]]]] = {}

    async def take(self, holder: Holder, key: Hashable) -> bool:
        """Take a lock, and return whether it had to be waited for.

        Raises ``SerializationConflict`` where who has it waits for this holder, or keeps it too long.
        """
        other = self._held.get(key)
        if other is holder:
            return False
        if other is None:
            self._give(holder, key)
            return False
        if self._circular(holder, other):
            raise SerializationConflict("each of two changes waited for the other")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(key, deque())
        queue.append((holder, future))
        holder.wants = key
        try:
            async with asyncio.timeout(LOCK_SECONDS):
                await future
        except TimeoutError:
            raise SerializationConflict("a lock was kept too long") from None
        finally:
            holder.wants = None
            with suppress(ValueError):
                queue.remove((holder, future))
        return True

    def _circular(self, holder: Holder, other: Holder | None) -> bool:
        while other is not None and other.wants is not None:
            other = self._held.get(other.wants)
            if other is holder:
                return True
        return False

    def _give(self, holder: Holder, key: Hashable) -> None:
        self._held[key] = holder
        holder.locked.append(key)

    def release(self, holder: Holder) -> None:
        """Let all locks of a holder go, each to who has waited for it longest, and end its own waiting."""
        self._stop_waiting(holder)
        locked, holder.locked = holder.locked, []
        for key in locked:
            del self._held[key]
            queue = self._queues.get(key)
            while queue:
                following, future = queue.popleft()
                if not future.done():
                    following.wants = None
                    self._give(following, key)
                    future.set_result(None)
                    break
            if not queue:
                self._queues.pop(key, None)

    def _stop_waiting(self, holder: Holder) -> None:
        if holder.wants is None:
            return
        for one, future in list(self._queues.get(holder.wants, ())):
            if one is holder and not future.done():
                future.set_exception(holder.undone or SerializationConflict("the transaction was ended"))
                future.exception()  # whoever waits may be gone: then nobody need fetch it
