"""A look at the event loop from outside: one turn of it may be so long that it cannot look at itself in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

_PAUSE = 0.025  # seconds
_STEPS = 3  # looks in which the loop must have been late, and busy with one request after the other


class Watch:
    """A thread that sounds an alarm when the loop is late because of many requests, not because of a slow one.

    ``late`` returns for how many seconds the loop has been late, ``count`` how many requests it has answered so far.
    ``alarm`` is called from the thread, once for each time that the loop was late.
    """

    def __init__(
        self, *, late: Callable[[], float], count: Callable[[], int], alarm: Callable[[], None], requests: int
    ) -> None:
        self._late = late
        self._count = count
        self._alarm = alarm
        self._requests = requests
        self._stopped = threading.Event()
        self._seen: list[int] = []

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="mainstay-overload-watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE):
            self.look()

    def look(self) -> None:
        """Take one look."""
        seen = self._seen
        if self._late() <= 0.0:
            seen.clear()
            return
        seen.append(self._count())
        steps = [after - before for before, after in pairwise(seen)]
        if len(steps) >= _STEPS and all(steps[-_STEPS:]) and seen[-1] - seen[0] >= self._requests:
            seen.clear()
            self._alarm()
