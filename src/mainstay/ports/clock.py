"""Time, as the core asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime


class Clock(ABC):
    """Wall time and monotonic time. The core asks no other source, so that a test or a simulation can set it."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the wall time, with zone UTC."""

    @abstractmethod
    def time(self) -> float:
        """Return the wall time in seconds since the Unix epoch."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds that never go back, from an origin of no meaning."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait until at least so much monotonic time has passed; others run meanwhile, even where it is none."""
