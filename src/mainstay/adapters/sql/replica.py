"""A replica that queries are sent to: how far it has come, and whether it may be asked."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Generic

from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.outages import ConnectionLost, DatabaseAway, StaleStatement, away
from mainstay.adapters.sql.pooling import L, Pool
from mainstay.model.problem import DeadlineExceeded, SerializationConflict, Unavailable

LOOK_SECONDS = 0.1
"""How often it is looked at."""

ANSWER_SECONDS = 2.0


class Replica(ABC, Generic[L]):
    """The pool of a replica's connections, and that of the primary's for queries that it may not answer.

    ``seconds`` is how far it may be behind; ``clock`` gives the monotonic seconds in which ``current`` is told.
    """

    def __init__(self, pool: Pool[L], primary: Pool[L], seconds: float, clock: Callable[[], float]) -> None:
        self.pool = pool
        self.primary = primary
        self.seconds = seconds
        self._clock = clock
        self._has = -1.0  # nothing is known yet
        self._since = -1.0
        self._goal: tuple[float, object] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def current(self) -> float:
        """The moment up to which it has all that was committed."""
        return self._has

    @property
    def behind(self) -> float:
        """How many seconds it is behind, at most."""
        return self._clock() - self.current

    def choose(self, *, latest: bool) -> Pool[L]:
        """Return where a query reads; ``latest``: all that was committed before."""
        fit = not latest and self.pool.failure is None and self.behind <= self.seconds
        return self.pool if fit else self.primary

    def degraded(self) -> str | None:
        """Return why queries go to the primary, or None where they do not."""
        if self.pool.failure is not None:
            return "the replica cannot be reached: queries go to the primary"
        if self.behind > self.seconds:
            return f"the replica is more than {self.seconds:g} s behind: queries go to the primary"
        return None

    def forget(self) -> None:
        """Ask it nothing until it has what was committed before now: tables that were made, for example."""
        self._since, self._has, self._goal = self._clock(), -1.0, None

    async def start(self) -> None:
        """Begin to look at it. A replica that is away is looked for; nobody waits for it."""
        with suppress(Unavailable):
            await self.pool.start()
        await self._try()
        self._looking = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, seconds: float) -> None:
        """Look at it no more, and end all connections to it."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait((looking,))
        await self.pool.stop(seconds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._try()

    async def _try(self) -> None:
        """Look once; what goes wrong is told by its falling behind.

        Where it has not come to a place yet, it is asked for the same one again: under load it never has the last. One
        that is too old is left: after a fail-over it may be a place that there is not.
        """
        with suppress(Unavailable, DeadlineExceeded, ConnectionLost, StaleStatement, StatementFailed):
            if self._goal is None or self._clock() - self._goal[0] > self.seconds:
                begun = self._clock()  # before the primary is asked: what was committed until now is in what it tells
                self._goal = (begun, await self._committed())
            begun, place = self._goal
            if await self._applied(place):
                self._has, self._goal = begun if begun >= self._since else -1.0, None

    @abstractmethod
    async def _committed(self) -> object:
        """Ask the primary up to which place there are commits."""

    @abstractmethod
    async def _applied(self, place: object) -> bool:
        """Ask the replica whether it has come to a place."""


GIVEN_UP = (ConnectionLost, StaleStatement, SerializationConflict)
"""What ends a read that is tried once more, on the primary: a standby ends those that hold up what it plays back."""


def told(error: Exception) -> Exception:
    """Return what is raised for a read that was given up."""
    return error if isinstance(error, SerializationConflict) else away(error)


async def lent(pool: Pool[L], primary: Pool[L], seconds: float | None) -> tuple[L, Pool[L]]:
    """Return a connection with its pool: the primary's where the replica has just gone away."""
    try:
        return await pool.take(seconds), pool
    except DatabaseAway:
        if pool is primary:
            raise
        return await primary.take(seconds), primary


async def ask(pool: Pool[L], query: str, *values: object) -> object:
    """Return the one value that a server answers with. Raises what a query raises."""
    link = await pool.take(ANSWER_SECONDS)
    try:
        return (await link.fetch(query, values, ANSWER_SECONDS))[0][0]
    finally:
        pool.give(link)
