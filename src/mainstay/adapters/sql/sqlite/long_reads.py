"""Which statements are too long for the loop, so that time is not spent there only to be told so again."""

from __future__ import annotations

MOST_SKIPPED = 63
"""The executions between two tries of a statement that was too long each time."""

_KEPT = 512


class LongReads:
    """Statements whose last try on the loop was cut off.

    Such a one goes to a thread once, and then is tried again: it may have been a cold cache, or one great customer.
    Each further try that is cut off doubles the pause; one that is not, ends it. While there are no ``pauses``, as is
    usual, nothing else need be asked.
    """

    __slots__ = ("pauses",)

    def __init__(self) -> None:
        self.pauses: dict[str, tuple[int, int]] = {}  # how many more to skip, and how many the next time

    def skips(self, statement: str) -> bool:
        """Whether this execution belongs in a thread at once."""
        pause = self.pauses.get(statement)
        if pause is None or pause[0] == 0:
            return False
        self.pauses[statement] = (pause[0] - 1, pause[1])
        return True

    def was_long(self, statement: str) -> None:
        """Note that a try was cut off."""
        _, pause = self.pauses.pop(statement, (0, 1))
        if len(self.pauses) >= _KEPT:
            del self.pauses[next(iter(self.pauses))]
        self.pauses[statement] = (pause, min(2 * pause + 1, MOST_SKIPPED))

    def was_short(self, statement: str) -> None:
        """Note that a try was not cut off."""
        self.pauses.pop(statement, None)
