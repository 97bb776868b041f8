"""Points in time on PostgreSQL's wire: microseconds since 2000, in a datetime's range."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def encode(moment: datetime) -> tuple[int]:
    """Return the number of a point in time. Raises ``TypeError`` for one without a zone, which names none."""
    return ((moment - _EPOCH) // _STEP,)


def decoder() -> Callable[[tuple[int]], datetime]:
    """Return what reads the numbers of one connection.

    The last one is remembered: a row that was never changed has the same time twice, and rows that were added together
    share it. What lies beyond a datetime's years, the infinities too, is the first or the last of them.
    """
    known, moment = 0, _EPOCH

    def decode(number: tuple[int]) -> datetime:
        nonlocal known, moment
        (microseconds,) = number
        if microseconds != known:
            try:
                moment = _EPOCH + _STEP * microseconds  # half the instructions of timedelta(microseconds=...)
            except OverflowError:
                moment = _LAST if microseconds > 0 else _FIRST
            known = microseconds
        return moment

    return decode
