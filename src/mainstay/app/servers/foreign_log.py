"""What other servers log becomes notices of ours: one log, of one form."""

from __future__ import annotations

import logging

from mainstay.ports.observer import Notice, Observer

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"))


class ForeignLog(logging.Handler):
    """Passes warnings and errors of some loggers on, and nothing below; ``close`` gives the loggers back."""

    def __init__(self, observer: Observer, *names: str) -> None:
        super().__init__(logging.WARNING)
        self._observer = observer
        self._loggers = [logging.getLogger(name) for name in names]
        self._before = [(one.level, one.propagate) for one in self._loggers]
        for one in self._loggers:
            one.addHandler(self)
            one.propagate = False
            one.setLevel(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record."""
        level = next((name for least, name in _LEVELS if record.levelno >= least), "info")
        error = record.exc_info[1] if record.exc_info else None
        facts = {"logger": record.name}
        self._observer.observe(Notice(level, "http_server", record.getMessage(), facts, error))

    def close(self) -> None:
        """Listen no more."""
        for one, (level, propagate) in zip(self._loggers, self._before, strict=True):
            one.removeHandler(self)
            one.setLevel(level)
            one.propagate = propagate
        super().close()
