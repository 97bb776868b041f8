"""Passwords: made into what may be stored, and compared with it, without holding up other calls."""

from __future__ import annotations

from abc import ABC, abstractmethod


class PasswordHasher(ABC):
    """Hash passwords slowly, beside the event loop, a bounded number at a time."""

    @abstractmethod
    async def hash(self, password: str) -> str:
        """Return the hash of a password, its salt and parameters in it. Raises ``Unavailable`` where too many wait."""

    @abstractmethod
    async def verify(self, hashed: str | None, password: str) -> bool:
        """Say whether ``hashed`` is of the password; for None (nobody has it) after as long a time, with no.

        Raises ``Unavailable`` where too many wait.
        """

    @abstractmethod
    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with weaker parameters than those of now."""
