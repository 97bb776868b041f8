"""The clock of this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic as _monotonic
from time import time as _time

from mainstay.ports.clock import Clock


class SystemClock(Clock):
    """Wall time as the machine has it, and its monotonic time."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    # The functions themselves: every call of the service asks for the time, more than once.
    time = staticmethod(_time)
    monotonic = staticmethod(_monotonic)

    async def sleep(self, seconds: float) -> None:
        import asyncio  # here: a supervisor reads the clock and has no loop

        await asyncio.sleep(seconds)
