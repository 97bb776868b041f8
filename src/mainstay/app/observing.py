"""Who listens to what happens: put together in one place, for the server and for its supervisor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Protocol

import msgspec

from mainstay.app.settings import Settings
from mainstay.ports.observer import Notice, Observation, Observer

_LEVELS = ("debug", "info", "warning", "error")


class Metrics(Protocol):
    """Figures of one process, and how those of several become one text."""

    def snapshot(self) -> bytes:
        """Return this process's figures, in a form of its own."""

    def render(self, snapshots: Sequence[bytes]) -> bytes:
        """Return the figures of several processes together, in the text format of Prometheus."""


class Observing(msgspec.Struct, frozen=True):
    """What listens in one process: the observer that everything is told to, and the figures, where they are kept."""

    observer: Observer
    metrics: Metrics | None = None


def make_observing(settings: Settings) -> Observing:
    """Return what the settings ask for."""
    return Observing(Notices(settings))


class Notices(Observer):
    """Writes notices to a stream, a line each: for a supervisor, which serves no calls."""

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        form = settings.log.format
        self._json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._least = _LEVELS.index(settings.log.level)

    def observe(self, observation: Observation) -> None:
        """Write a notice; calls are not for this listener."""
        if not isinstance(observation, Notice) or _LEVELS.index(observation.level) < self._least:
            return
        now = datetime.now(UTC)
        if self._json:
            line = {
                "time": now,
                "level": observation.level,
                "event": observation.event,
                "message": observation.message,
                **observation.facts,
            }
            text = msgspec.json.encode(line, enc_hook=repr).decode()
        else:
            text = f"{now:%H:%M:%S} {observation.level:<7} {observation.message}"
        self._stream.write(text + "\n")
        self._stream.flush()
