"""Input that waits for its turn: behind an exchange in flight, or behind a reader who is behind."""

from __future__ import annotations

from collections import deque

from mainstay.inbound.http.intake import Intake


class Held:
    """Bytes in the order in which they came. ``size`` is how many have not been parsed."""

    __slots__ = ("_pieces", "_taken", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._taken = 0  # of the first piece
        self.size = 0

    def put(self, data: bytes, taken: int) -> None:
        """Keep what came last; so much of it has been parsed."""
        if not self._pieces:
            self._taken = taken
        self._pieces.append(data)
        self.size += len(data) - taken

    def parse(self, intake: Intake) -> None:
        """Parse on, to the end of one request at most. There is something held."""
        data = self._pieces[0]
        taken = intake.parse(data, self._taken)
        self.size -= taken - self._taken
        self._taken = taken
        if taken == len(data):
            self._pieces.popleft()
            self._taken = 0

    def clear(self) -> None:
        """Let go of everything."""
        self._pieces.clear()
        self._taken = self.size = 0
