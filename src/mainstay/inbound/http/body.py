"""A body as it arrives: counted, bounded, kept or let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mainstay.model.problem import Problem, TooLarge


def too_large(limit: int) -> TooLarge:
    """Return the refusal of a body over its bound."""
    return TooLarge(f"the body is larger than {limit} bytes", limit=limit)


class Inflow:
    """Collects one body. One reader may wait for all of it.

    ``wanted`` is called before the first wait, for who must ask the client to go on (100-continue).
    """

    __slots__ = ("_chunks", "_limit", "_problem", "_waiter", "complete", "keep", "size", "wanted")

    def __init__(self, limit: int, *, keep: bool = True) -> None:
        self._chunks: list[bytes] = []
        self._limit = limit
        self._problem: Problem | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.keep = keep
        self.size = 0
        self.complete = False
        self.wanted: Callable[[], None] | None = None

    @property
    def over(self) -> bool:
        """Whether more came than is accepted, or the body cannot be had for another reason."""
        return self._problem is not None

    def feed(self, data: bytes) -> None:
        """Take a part of the body."""
        self.size += len(data)
        if self.size > self._limit:
            self.fail(too_large(self._limit))
        elif self.keep:
            self._chunks.append(data)

    def finish(self) -> None:
        """The body has ended."""
        self.complete = True
        self._wake()

    def fail(self, problem: Problem) -> None:
        """The body cannot be had: who reads it gets this problem."""
        if self._problem is None:
            self._problem = problem
        self._chunks.clear()
        self.keep = False
        self._wake()

    def drop(self) -> None:
        """Nobody will read the body: let go of what came, and keep no more."""
        self._chunks.clear()
        self.keep = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> bytes:
        """Return the whole body. Raises ``TooLarge``."""
        if self._problem is not None:
            raise self._problem
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def read(self) -> bytes:
        """Wait for the end of the body and return it. Raises ``TooLarge``, or what ``fail`` was given."""
        if not self.complete and self._problem is None:
            if self.wanted is not None:
                self.wanted()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.take()
