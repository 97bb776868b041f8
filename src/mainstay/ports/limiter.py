"""Rate limits: may this key do one more thing now?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from mainstay.model.limits import Limit


class Verdict(NamedTuple):
    """What one limit says of one key."""

    limit: Limit
    allowed: bool
    remaining: int  # whole calls left now
    reset: float  # seconds until the quota is whole again (RateLimit ``t``)
    retry_after: float  # seconds until one more call of that cost is allowed: 0 now, infinite where it never is


class Limiter(ABC):
    """Count calls by key, all or nothing: several limits are charged together or, where one refuses, not at all.

    The memory of a limiter is bounded: only idle keys (whose quota is whole again) are evicted; when the table is full
    of busy ones, new keys share one bucket.
    """

    @abstractmethod
    def charge(
        self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1
    ) -> Sequence[Verdict] | Awaitable[Sequence[Verdict]]:
        """Charge ``cost`` to each (limit, key), one verdict for each in the same order."""

    @abstractmethod
    def peek(self, charges: Sequence[tuple[Limit, str]]) -> Sequence[Verdict] | Awaitable[Sequence[Verdict]]:
        """Say what ``charge`` would answer, and charge nothing."""
