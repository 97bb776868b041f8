"""Signals within one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mainstay.ports.signals import Listeners, Listening, Signals, checked_topic, encoded


class MemorySignals(Signals):
    """Told to those who listen in this process. Other processes hear nothing."""

    def __init__(self) -> None:
        self._listeners = Listeners()

    async def publish(self, topic: str, value: Any) -> None:
        self._listeners.tell(checked_topic(topic), encoded(value))

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[Listening]:
        listening, _ = self._listeners.add(checked_topic(topic))
        try:
            yield listening
        finally:
            self._listeners.remove(topic, listening)

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        return {"told": self._listeners.told, "lost_by_slow_listeners": self._listeners.lost}
