"""Clocks, ids and chance of simulated processes: foretold by the seed, and off by what each process is off."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from mainstay.ports.clock import Clock
from mainstay.ports.ids import Entropy, Ids
from mainstay.testing.fixed import START
from mainstay.testing.simulation.loop import SimulatedLoop

_VERSION, _VARIANT = 0x7 << 12, 0b10 << 62


def chance_of(seed: int | str, name: str) -> Random:
    """Return chance for one purpose: what one draws changes nothing of what another draws."""
    return Random(f"{seed} {name}")  # noqa: S311 - it is to be foretold


class SimulatedClock(Clock):
    """The clock of one process: the loop's time, and a wall time that is ``off`` by so many seconds."""

    def __init__(self, loop: SimulatedLoop, off: float = 0.0) -> None:
        self.off = off
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() + self.off)

    def time(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class SimulatedIds(Ids):
    """UUIDv7 of one process's clock, with chance behind the milliseconds. They never go back."""

    def __init__(self, clock: Clock, chance: Random) -> None:
        self._clock = clock
        self._chance = chance
        self._last = 0

    def next(self) -> UUID:
        milliseconds = int(self._clock.time() * 1000)
        self._last = max(self._last + 1, milliseconds << 12)
        head = self._last >> 12 << 16 | _VERSION | self._last & 0xFFF
        return UUID(int=head << 64 | _VARIANT | self._chance.getrandbits(62))

    def token(self) -> str:
        return urlsafe_b64encode(self._chance.randbytes(17))[:22].decode()


class SimulatedEntropy(Entropy):
    """Chance of one process."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def uniform(self) -> float:
        return self._chance.random()
