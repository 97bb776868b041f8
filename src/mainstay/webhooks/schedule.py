"""When a message is tried again: the schedule that the Standard Webhooks specification gives, over three days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE, HOUR = 60.0, 3600.0

DELAYS: Sequence[float] = (
    5.0,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""Seconds from each attempt to the next; after as many as there are, and the first, a message has failed."""

JITTER = 0.1
"""By how much of itself a delay is longer at most, so that what failed together does not come back together."""

MAX_WAIT = 24 * HOUR
"""How long a receiver may ask to be left alone."""


def delay_after(attempts: int, uniform: float) -> float | None:
    """Return how many seconds after the last of so many attempts the next one is; None where there is none.

    ``uniform`` is chance, from 0 up to 1.
    """
    return DELAYS[attempts - 1] * (1 + JITTER * uniform) if attempts <= len(DELAYS) else None


def asked_wait(status: int, headers: Mapping[str, str], now: datetime) -> float:
    """Return how many seconds a receiver asks to be left alone for (RFC 9110, section 10.2.3), within a bound."""
    if status not in (429, 503):
        return 0.0
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), MAX_WAIT)
