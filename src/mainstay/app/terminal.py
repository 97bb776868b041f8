"""SIGHUP says two things: that a terminal has gone, and that a daemon is to begin anew."""

from __future__ import annotations

import os

_TERMINAL = "/dev/tty"


class Terminal:
    """The terminal that this process was started from, if any."""

    def __init__(self) -> None:
        self._had = _is_there()

    @property
    def gone(self) -> bool:
        """Whether there was a terminal, and it has hung up."""
        return self._had and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
