"""A look at the event loop from outside: one turn of it may be so long that it cannot look at itself in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

_PAUSE = 0.025  # seconds
_STEPS = 3  # looks in which the loop must have been late, and busy with one request after the other


class Watch:
    """A thread that sounds an alarm when the loop is late because of many requests, not because of a slow one.

    It ends with ``stop``, and by itself where ``gone`` says that the loop is no more. ``late`` returns for how many
    seconds the loop has been late, ``count`` how many requests it has answered so far.
    ``is_long`` decides, by the seconds and the seconds that each request took, whether that is too long; ``alarm`` is
    called from the thread then, with the latter.
    """

    def __init__(
        self,
        *,
        late: Callable[[], float],
        count: Callable[[], int],
        is_long: Callable[[float, float], bool],
        alarm: Callable[[float], None],
        requests: int,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._late = late
        self._count = count
        self._is_long = is_long
        self._alarm = alarm
        self._requests = requests
        self._gone = gone
        self._stopped = threading.Event()
        self._seen: list[tuple[float, int]] = []

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="mainstay-overload-watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not (self._stopped.wait(_PAUSE) or self._gone()):
            self.look()

    def look(self) -> None:
        """Take one look."""
        seen, late = self._seen, self._late()
        if late <= 0.0:
            seen.clear()
            return
        seen.append((late, self._count()))
        steps = [after - before for (_, before), (_, after) in pairwise(seen)]
        requests = seen[-1][1] - seen[0][1]
        if len(steps) < _STEPS or not all(steps[-_STEPS:]) or requests < self._requests:
            return
        cost = (late - seen[0][0]) / requests
        if self._is_long(late, cost):
            seen.clear()
            self._alarm(cost)
