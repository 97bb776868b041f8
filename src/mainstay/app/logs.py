"""The log that the settings ask for, for a process that serves and for the one that watches over others."""

from __future__ import annotations

import os
import sys

from mainstay.adapters.observe.log import LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.app.settings import Settings
from mainstay.inbound.http.problems import STATUS
from mainstay.ports.clock import Clock

_STDOUT, _STDERR = 1, 2


def make_log(settings: Settings, clock: Clock) -> tuple[LogObserver, Sink]:
    """Return the log that the settings ask for: lines for people on a terminal, JSON elsewhere."""
    sink = Sink(_STDOUT)
    form = settings.log.format
    pretty = form == "pretty" or (form == "auto" and os.isatty(_STDOUT))
    sys.stdout.flush()
    return LogObserver(
        sink, clock, STATUS, level="debug" if settings.debug else settings.log.level, pretty=pretty
    ), sink


def make_operator_log(settings: Settings, clock: Clock) -> LogObserver:
    """Return the log of a command that works on the database: warnings to standard error, all of it for debugging."""
    sys.stderr.flush()
    level = "debug" if settings.debug else "warning"
    return LogObserver(Sink(_STDERR), clock, STATUS, level=level, pretty=os.isatty(_STDERR))
