"""Passwords: made into what may be stored, and compared with it, without holding up other calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class PasswordHasher(ABC):
    """Hash passwords slowly, beside the event loop, a bounded number at a time.

    Passwords are compared in the normal form NFKC (NIST SP 800-63B, section 3.1.1.2), so that one is the same however
    a keyboard composes its letters.
    """

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


class PasswordRules(ABC):
    """Say which passwords may be chosen."""

    @abstractmethod
    async def refusal(self, password: str, about: Sequence[str] = ()) -> str | None:
        """Return why a password may not be chosen, in words for who chose it, or None where it may.

        ``about`` are texts that others know or guess first, such as the account's address: one made of them is refused.
        """
