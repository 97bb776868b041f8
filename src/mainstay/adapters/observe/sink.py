"""Where log lines go: one write each, and never a wait. What does not fit is counted, not waited for."""

from __future__ import annotations

import contextlib
import os
import stat


class Sink:
    """A file descriptor that is written to without blocking.

    A pipe or a terminal is opened anew, non-blocking, so that the flag does not reach whoever shares the descriptor. A
    reader that falls behind loses lines: ``dropped`` counts them. The rest of a line that was torn is sent first.
    """

    def __init__(self, fd: int) -> None:
        self._rest = b""
        self.dropped = 0
        self._fd, self._own = _unblocked(fd)

    def write(self, line: bytes) -> None:
        """Write one line, newline included, or count it as dropped."""
        data = self._rest + line if self._rest else line
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            self.dropped += 1
            return
        except OSError:  # the reader has gone: there is nobody to tell
            self.dropped += 1
            self._rest = b""
            return
        if written == len(data):
            self._rest = b""
        elif written >= len(self._rest):
            self._rest = data[written:]
        else:  # not even the torn line's rest went: this line waits for nothing
            self._rest = self._rest[written:]
            self.dropped += 1

    def close(self) -> None:
        """Close what was opened here."""
        if self._own:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._own = False


def _unblocked(fd: int) -> tuple[int, bool]:
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), True
        except OSError:
            return fd, False  # no /proc, or a descriptor that cannot be opened anew: it may block, and is said to
    return fd, False
