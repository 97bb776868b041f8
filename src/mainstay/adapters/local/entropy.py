"""Chance, seeded by the operating system."""

from __future__ import annotations

from random import Random

from mainstay.adapters.local.fork import after_fork
from mainstay.ports.ids import Entropy


class SystemEntropy(Entropy):
    """Numbers for jitter and sampling; a forked process draws others than its parent."""

    def __init__(self) -> None:
        self._random = Random()  # noqa: S311 - for jitter, as the port says; secrets come from elsewhere
        after_fork(self)

    def reseed(self) -> None:
        """Forget what a forked process has in common with its parent."""
        self._random.seed()

    def uniform(self) -> float:
        return self._random.random()
