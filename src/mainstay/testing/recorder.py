"""What a service under test observed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer, OutgoingEnded

_KEPT = 10_000


class Recorder(Observer):
    """Keeps the last 10,000 observations, and the unexpected exceptions until they are asked for."""

    def __init__(self) -> None:
        self.observed: deque[Observation] = deque(maxlen=_KEPT)
        self._unexpected: list[BaseException] = []

    def observe(self, observation: Observation) -> None:
        self.observed.append(observation)
        if isinstance(observation, OutgoingEnded) or observation.error is None:
            return
        if isinstance(observation, Notice) or observation.kind is Kind.INTERNAL:
            self._unexpected.append(observation.error)

    @property
    def calls(self) -> Sequence[CallEnded]:
        """The calls that have ended, in order."""
        return [each for each in self.observed if isinstance(each, CallEnded)]

    @property
    def outgoing(self) -> Sequence[OutgoingEnded]:
        """The calls to other services that have ended, in order."""
        return [each for each in self.observed if isinstance(each, OutgoingEnded)]

    @property
    def notices(self) -> Sequence[Notice]:
        """What else was told: log lines of use cases among it."""
        return [each for each in self.observed if isinstance(each, Notice)]

    def unexpected(self) -> BaseException | None:
        """Return the first exception since the last time it was asked for that is no Problem of a use case."""
        found, self._unexpected = self._unexpected, []
        return found[0] if found else None
