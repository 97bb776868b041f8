"""When callers have changed something last, so that their queries see it where a replica lags behind."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mainstay.model.principal import Principal


class RecentWrites(ABC):
    """The last committed command of each caller, as far as the processes of this host know.

    All who are not known are one caller. It may err towards later moments only: who is said to have written lately
    reads what is current.
    """

    @abstractmethod
    def note(self, who: Principal) -> None:
        """Note that a command of this caller was committed before now."""

    @abstractmethod
    def last(self, who: Principal) -> float:
        """Return the monotonic moment up to which the caller may have written; negative where nothing is known."""
