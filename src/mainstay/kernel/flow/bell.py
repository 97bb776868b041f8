"""The bell: a commit that stored events wakes the relay of its own process."""

from __future__ import annotations

from collections.abc import Callable


class Bell:
    """Rings whoever listens; nobody need."""

    __slots__ = ("_listener",)

    def __init__(self) -> None:
        self._listener: Callable[[], None] | None = None

    def listen(self, listener: Callable[[], None]) -> None:
        """Be called at every ring from now on."""
        self._listener = listener

    def ring(self) -> None:
        """Say that there is something to deliver."""
        if self._listener is not None:
            self._listener()
