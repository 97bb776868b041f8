"""Epochs: what was issued to somebody before a moment of theirs holds no more, on every replica within a second.

An account, a session, an API key each may have an epoch: a number that only grows. What is issued carries the number
that its subject has then, and is good while it is not below the number that the subject has now. To lock somebody out,
to end a session or to revoke a key is to raise its number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from uuid import UUID

from mainstay.model.problem import Unavailable

MAX_AGE = 1.0
"""How old, in seconds, what is known of epochs may be when it decides on a call."""


class RevocationsUnknown(Unavailable, hint="Send the request again in a moment."):
    """It cannot be told now whether these credentials still hold."""


class Epochs(ABC):
    """What a replica knows of epochs. It is in memory: asking it waits for nothing.

    ``generation`` changes whenever something new was learnt, so that a verdict is good as long as it stays the same.
    What is known decides on calls until the monotonic moment ``until``; after that it must be had anew.
    """

    generation: int
    until: float

    @abstractmethod
    def floor(self, subject: UUID) -> int:
        """Return the least number that what was issued to a subject must carry; 0 where any will do."""

    @abstractmethod
    async def refresh(self) -> None:
        """Learn what there is to learn now. Raises ``RevocationsUnknown`` where that cannot be had."""
