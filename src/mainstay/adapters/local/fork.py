"""What must not be the same in a forked process as in its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Reseeded(Protocol):
    """Something with randomness of its own."""

    def reseed(self) -> None:
        """Forget what a forked process has in common with its parent."""


def after_fork(source: Reseeded) -> None:
    """Have a source reseeded in every process forked from this one, for as long as the source lives."""
    known = weakref.ref(source)

    def reseed() -> None:
        alive = known()
        if alive is not None:
            alive.reseed()

    os.register_at_fork(after_in_child=reseed)
