"""What goes wrong in a run, drawn by its seed: each run has some kinds of misfortune and is spared the others.

A run that had all of them all the time would hide what only a few of them bring about (A. Groce and others: Swarm
Testing, 2012).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from mainstay.testing.simulation.broker import Habits
from mainstay.testing.simulation.line import Weather
from mainstay.testing.simulation.replica import Replica, Servers
from mainstay.testing.simulation.sources import chance_of


class Climate(msgspec.Struct, frozen=True, kw_only=True):
    """How bad it is in a run. ``kills``, ``stalls`` and ``cuts`` are seconds between two of them on average, or 0."""

    weather: Weather
    habits: Habits
    kills: float
    stalls: float
    cuts: float
    off: float  # seconds by which clocks may be off

    @classmethod
    def drawn(cls, seed: int | str) -> Climate:
        """Return the climate of a seed."""
        chance = chance_of(seed, "climate")

        def some(most: float) -> float:
            return chance.random() * most if chance.random() < 0.5 else 0.0

        return cls(
            weather=Weather(
                yields=chance.random() * 0.5,
                slow=some(0.3),
                lost=some(0.02),
                struck=some(0.003),
                seconds=0.02 + some(0.5),
            ),
            habits=Habits(
                unconfirmed=some(0.2), doubled=some(0.3), late=some(0.4), again=some(0.2), expelled=some(0.05)
            ),
            kills=_between(chance, 4.0, 30.0),
            stalls=_between(chance, 8.0, 40.0),
            cuts=_between(chance, 4.0, 30.0),
            off=some(2.0),
        )


def _between(chance: Random, least: float, most: float) -> float:
    return chance.uniform(least, most) if chance.random() < 0.5 else 0.0


def _become(one: msgspec.Struct, other: msgspec.Struct) -> None:
    for name in one.__struct_fields__:
        setattr(one, name, getattr(other, name))


class Nemesis:
    """Brings about what the climate says, until it is told to ``rest``."""

    def __init__(self, servers: Servers, climate: Climate, replicas: Sequence[Replica]) -> None:
        self._servers = servers
        self._climate = climate
        self._replicas = replicas
        self._chance = chance_of(servers.seed, "nemesis")
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Begin: from now on things go wrong."""
        climate, servers = self._climate, self._servers
        _become(servers.weather, climate.weather)
        if servers.exchange is not None:
            _become(servers.exchange.habits, climate.habits)
        for every, what in ((climate.kills, self._kill), (climate.stalls, self._stall), (climate.cuts, self._cut)):
            if every:
                self._tasks.append(servers.loop.spawn(servers.loop.outside, self._now_and_then(every, what)))

    def rest(self) -> None:
        """Let nothing go wrong any more: who is down is started, and what is cut is whole."""
        for task in self._tasks:
            task.cancel()
        self._servers.weather.calm()
        if self._servers.exchange is not None:
            self._servers.exchange.habits.settle()
        for replica in self._replicas:
            replica.start()
            replica.recover()

    async def _now_and_then(self, every: float, what: Callable[[Replica], None]) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / every))
            what(self._chance.choice(self._replicas))

    def _kill(self, replica: Replica) -> None:
        replica.kill(self._chance.expovariate(1 / 3.0))

    def _stall(self, replica: Replica) -> None:
        replica.stall(self._chance.expovariate(1 / 20.0))

    def _cut(self, replica: Replica) -> None:
        servers = ["database"] if self._servers.exchange is None else ["database", "broker"]
        replica.cut(self._chance.choice(servers), self._chance.expovariate(1 / 8.0))
