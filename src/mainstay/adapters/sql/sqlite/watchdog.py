"""One bound on many short spans, at the price of one timer now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


class Watchdog:
    """Calls ``overdue`` once when a span that was begun is not ended within ``seconds``.

    A timer per span would cost more than the span. The one timer here, when it fires, looks at the span that is open
    and sets itself for what that one has left.
    """

    __slots__ = ("_overdue", "_seconds", "_since", "_timer")

    def __init__(self, seconds: float, overdue: Callable[[], None]) -> None:
        self._seconds = seconds
        self._overdue = overdue
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, since: float | None = None) -> None:
        """Start a span, now or at the given ``monotonic`` time, in place of one that may be open."""
        now = monotonic()
        self._since = now if since is None else since
        if self._timer is None:
            self._set(self._since + self._seconds - now)

    def end(self) -> None:
        """End the span."""
        self._since = None

    def cancel(self) -> None:
        """End the span and drop the timer."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._seconds - monotonic()
        if left > 0:
            self._set(left)
        else:
            self._since = None
            self._overdue()
