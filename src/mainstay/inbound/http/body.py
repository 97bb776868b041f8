"""A body as it arrives: counted, bounded, kept or let go, and taken whole or part by part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from mainstay.model.problem import Problem, TooLarge

_SMALL, _MANY = 1024, 256  # bytes of a piece, and how many pieces there may be before small ones are made one
WINDOW = 64 << 10
"""Bytes that wait for a reader of parts, where nothing else is said, before no more is taken in."""


def too_large(limit: int) -> TooLarge:
    """Return the refusal of a body over its bound."""
    return TooLarge(f"the body is larger than {limit} bytes", limit=limit)


class Inflow:
    """Collects one body of at most ``limit`` bytes. One reader may wait for all of it, or take it part by part.

    With a ``window`` in bytes it is meant for parts: it is ``full`` while more than that waits for the reader, and who
    feeds it should stop until ``room`` is called. Without one, it holds as much as it may be large.
    ``wanted`` is called before the first wait, for who must ask the client to go on (100-continue).
    """

    __slots__ = (
        "_chunks",
        "_held",
        "_problem",
        "_waiter",
        "complete",
        "keep",
        "limit",
        "room",
        "size",
        "wanted",
        "window",
    )

    def __init__(self, limit: int, *, keep: bool = True, window: int = 0) -> None:
        self._chunks: list[bytes] = []
        self._held = 0
        self.limit = limit
        self._problem: Problem | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.window = window
        self.keep = keep
        self.size = 0
        self.complete = False
        self.wanted: Callable[[], None] | None = None
        self.room: Callable[[], None] | None = None

    @property
    def over(self) -> bool:
        """Whether more came than is accepted, or the body cannot be had for another reason."""
        return self._problem is not None

    @property
    def full(self) -> bool:
        """Whether the reader is behind: feed no more before ``room`` is called."""
        return self._held > self.window

    def feed(self, data: bytes) -> None:
        """Take a part of the body."""
        self.size += len(data)
        if self.size > self.limit:
            self.fail(too_large(self.limit))
        elif self.keep:
            self.hold(data)

    def hold(self, data: bytes) -> None:
        """Keep a part for the reader."""
        self._chunks.append(data)
        if self.window:
            self._held += len(data)
            self._wake()
        if len(data) < _SMALL and len(self._chunks) >= _MANY:
            self._chunks = [b"".join(self._chunks)]  # pieces of two bytes weigh twenty times what they carry

    def finish(self) -> None:
        """The body has ended."""
        self.complete = True
        self._wake()

    def fail(self, problem: Problem) -> None:
        """The body cannot be had: who reads it gets this problem."""
        if self._problem is None:
            self._problem = problem
        self.drop()
        self._wake()

    def drop(self) -> None:
        """Nobody will read the body: let go of what came, and keep no more."""
        self.keep = False
        self._let_go()

    def _let_go(self) -> list[bytes]:
        """Empty what is held and return it. Who was told to wait may feed again."""
        chunks, self._chunks = self._chunks, []
        was_full, self._held = self.full, 0
        if was_full and self.room is not None:
            self.room()
        return chunks

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        if self.wanted is not None:
            self.wanted()
        await waiter

    def take(self) -> bytes:
        """Return the whole body. Raises ``TooLarge``, or what ``fail`` was given."""
        if self._problem is not None:
            raise self._problem
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def read(self) -> bytes:
        """Wait for the end of the body and return it. Raises ``TooLarge``, or what ``fail`` was given."""
        if self.window:
            return b"".join([part async for part in self.parts()])
        if not self.complete and self._problem is None:
            await self._more()
        return self.take()

    async def parts(self) -> AsyncIterator[bytes]:
        """Give the body as it comes, none of it empty. Raises ``TooLarge``, or what ``fail`` was given.

        At most two windows are held: what was given last, and what came meanwhile.
        """
        if not self.window:
            self.window = WINDOW
            self._held = sum(map(len, self._chunks))
        while True:
            if self._problem is not None:
                raise self._problem
            if self._held:
                yield b"".join(self._let_go())
            elif self.complete:
                return
            else:
                await self._more()
