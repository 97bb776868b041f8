"""What others write by Python's ``logging`` becomes notices of ours: one log, of one form."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

from mainstay.ports.observer import Notice, Observer

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))
_USUAL = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; what is there beside it was given as ``extra``."""


class PythonLog(logging.Handler):
    """Passes on what loggers are given, each from its own level on; ``close`` gives the loggers back.

    ``levels`` names them ("" is the one above all others) with the least level that is told, of ``logging``'s. What is
    given as ``extra`` becomes facts. Made on the loop that the observer is used on: what another thread logs is told
    there.
    """

    def __init__(self, observer: Observer, event: str, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._observe = observer.observe
        self._event = event
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._loggers = [(logging.getLogger(name), level) for name, level in levels.items()]
        self._before = [(one, one.level, one.propagate) for one, _ in self._loggers]
        for one, level in self._loggers:
            one.addHandler(self)
            one.propagate = False
            one.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record."""
        notice = self._notice(record)
        if threading.get_ident() == self._thread:
            self._observe(notice)
            return
        try:
            self._loop.call_soon_threadsafe(self._observe, notice)
        except RuntimeError:  # the loop has ended before the thread did
            self._observe(notice)

    def _notice(self, record: logging.LogRecord) -> Notice:
        level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
        try:
            message = record.getMessage()
        except Exception:  # words that do not fit their text: whose text it is, is worth more than none of it
            message = str(record.msg)
        facts: dict[str, Any] = {"logger": record.name}
        facts |= {name: value for name, value in record.__dict__.items() if name not in _USUAL}
        return Notice(level, self._event, message, facts, record.exc_info[1] if record.exc_info else None)

    def close(self) -> None:
        """Listen no more."""
        for one, level, propagate in self._before:
            one.removeHandler(self)
            one.setLevel(level)
            one.propagate = propagate
        super().close()


def is_set_up() -> bool:
    """Whether somebody has said already where Python's ``logging`` goes."""
    return bool(logging.getLogger().handlers)
