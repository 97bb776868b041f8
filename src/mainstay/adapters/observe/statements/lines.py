"""The line of the service's own code that asks a store for something."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FrameType

_PACKAGE = f"{Path(__file__).parents[3]}/"
_KERNEL = f"{_PACKAGE}kernel/"
_LOOPS = ("events.py", "base_events.py", "runners.py")


def asking_line() -> str | None:
    """Return the nearest line up the stack that is neither ours nor a library's, as ``file:line``.

    None where the kernel comes before it, which asks for rows of its own, or for those of an operation without code;
    or the event loop, where a task of its own asks: who made the task is not on the stack.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_KERNEL) or _is_loop(file):
            return None
        if not file.startswith(_PACKAGE) and not _is_library(file):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return None


@cache
def _is_library(file: str) -> bool:
    return file.startswith("<") or file.startswith(_libraries())


@cache
def _is_loop(file: str) -> bool:
    path = Path(file)
    return path.parent.name == "asyncio" and path.name in _LOOPS and _is_library(file)


@cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({f"{paths[name]}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
