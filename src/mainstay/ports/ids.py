"""Ids and randomness, as the core asks for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from uuid import UUID


class Ids(ABC):
    """Where ids come from. Ids of one source never go back in order."""

    @abstractmethod
    def next(self) -> UUID:
        """Return a new UUIDv7 (RFC 9562, section 5.7): ordered by the time of its making."""

    @abstractmethod
    def token(self) -> str:
        """Return a new random text of 22 characters (``A-Za-z0-9_-``): for request ids and the like."""


class Entropy(ABC):
    """Where chance comes from, for jitter and sampling. Not for secrets."""

    @abstractmethod
    def uniform(self) -> float:
        """Return a number from 0 up to, but not with, 1."""
