"""Letters to people: what a service writes to the addresses of its accounts."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One letter. A representation shows neither text nor address: a letter carries codes and links."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return f"<Letter {self.subject!r}>"


class Mailer(ABC):
    """Send letters."""

    @abstractmethod
    async def send(self, letter: Letter) -> None:
        """Hand a letter over. Raises ``Unavailable`` where it was not taken: nothing is lost without a word."""
