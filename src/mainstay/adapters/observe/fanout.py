"""One observer in front of several."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.ports.observer import Observation, Observer


class Fanout(Observer):
    """Passes each observation to every listener, in order."""

    def __init__(self, listeners: Sequence[Observer]) -> None:
        self._takes = tuple(listener.observe for listener in listeners)

    def observe(self, observation: Observation) -> None:
        """Pass it on."""
        for take in self._takes:
            take(observation)
