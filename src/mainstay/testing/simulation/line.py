"""The line between one process and one server, and the weather on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from mainstay.testing.simulation.loop import Process, ProcessEnded


class LineCut(Exception):
    """A request or its answer was lost. Which of them it was, who asked cannot know."""


class Weather(msgspec.Struct, kw_only=True):
    """What befalls requests and answers: parts of all crossings, which add up to 1 at most. It may change any time.

    What none of them befalls crosses at once, without a step of another between.
    """

    yields: float = 0.3  # others take steps meanwhile
    slow: float = 0.0  # it takes ``seconds`` on average
    lost: float = 0.0  # it is lost, which is seen within ``patience`` seconds
    struck: float = 0.0  # the process is struck: see ``Line.strike``
    seconds: float = 0.02
    patience: float = 3.0

    def calm(self) -> None:
        """Have nothing befall anyone any more."""
        self.slow = self.lost = self.struck = 0.0


class Line:
    """One process's line to one server.

    ``cut`` loses everything while it is true. ``strike`` is called where the weather strikes the process in the middle
    of what it asks: it may kill it or have it stand still.
    """

    def __init__(
        self, process: Process | None = None, weather: Weather | None = None, chance: Random | None = None
    ) -> None:
        self.cut = False
        self.strike: Callable[[], None] | None = None
        self._process = process
        self._weather = weather or Weather(yields=0.0)
        self._chance = chance or Random(0)  # noqa: S311 - it is to be foretold

    @property
    def chance(self) -> Random:
        """What decides on this line."""
        return self._chance

    def check(self) -> None:
        """Raise ``ProcessEnded`` where the process was killed."""
        if self._process is not None and not self._process.alive:
            raise ProcessEnded

    async def cross(self) -> None:
        """Have a request or an answer cross. Raises ``LineCut``, ``ProcessEnded``."""
        self.check()
        weather, drawn = self._weather, self._chance.random()
        if self.cut or drawn < weather.lost:
            await asyncio.sleep(self._chance.random() * weather.patience)
            self.check()
            raise LineCut
        drawn -= weather.lost
        if drawn < weather.struck and self.strike is not None:
            self.strike()
            await asyncio.sleep(0)
        elif drawn < weather.struck + weather.slow:
            await asyncio.sleep(self._chance.expovariate(1 / weather.seconds))
        elif drawn < weather.struck + weather.slow + weather.yields:
            await asyncio.sleep(0)
        self.check()
        if self.cut:
            raise LineCut
