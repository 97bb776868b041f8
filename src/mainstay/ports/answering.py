"""What a use case says of its answer beside what it returns, in terms that every protocol has something for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Keep(msgspec.Struct, frozen=True):
    """What the client is to keep, and to send with each call by itself; for browsers that is a cookie.

    ``seconds`` is how long; with 0 the client is to let go of what it has. It shows in no representation.
    """

    value: str = ""
    seconds: int = 0

    def __repr__(self) -> str:
        return f"<Keep for {self.seconds} s>"


class Answering(ABC):
    """Says of the answer of this call what its value does not."""

    __slots__ = ()

    @abstractmethod
    def confide(self) -> None:
        """Say that the answer shows a secret once: it is neither stored for a repetition nor cached."""

    @abstractmethod
    def keep(self, keep: Keep) -> None:
        """Have the client keep something; that is a secret as well. The last word counts."""
