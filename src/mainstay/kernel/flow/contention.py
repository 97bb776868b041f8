"""Calls of one operation that keep meeting each other are run one after another, for a while.

Where two transactions change the same row, one of them is run again; among many that do so at once most are, over and
over. In turn each of them succeeds at its first attempt. Other processes may still be met: as many as there are.
"""

from __future__ import annotations

import asyncio

from mainstay.ports.clock import Clock

WINDOW = 0.1
"""Seconds without a conflict after which calls run side by side again."""


class Contention:
    """Whether the calls of one operation have met of late."""

    __slots__ = ("_clock", "_until", "turn")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock.monotonic
        self.turn: asyncio.Lock = asyncio.Lock()  # which calls have in order of arrival
        self._until = 0.0

    @property
    def stands(self) -> bool:
        """Whether a call should take its turn."""
        return self._until > 0.0 and self._clock() < self._until

    def met(self) -> None:
        """Note that a call was undone because it met another."""
        self._until = self._clock() + WINDOW
