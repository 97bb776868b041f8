"""The bell: a commit that stored events wakes the relay of its own process, and brings it what it has stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainstay.kernel.flow.records import OutboxMessage


class Bell:
    """Rings whoever listens; nobody need."""

    __slots__ = ("_listener",)

    def __init__(self) -> None:
        self._listener: Callable[[Sequence[OutboxMessage]], None] | None = None

    def listen(self, listener: Callable[[Sequence[OutboxMessage]], None]) -> None:
        """Be called at every ring from now on, with the rows that were committed."""
        self._listener = listener

    def ring(self, stored: Sequence[OutboxMessage]) -> None:
        """Say that there is something to deliver: only of what is committed."""
        if self._listener is not None:
            self._listener(stored)
