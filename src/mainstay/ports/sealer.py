"""Sealing: text that a caller carries for us and can neither read nor change."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Sealer(ABC):
    """Authenticated encryption under the service's own secret; earlier secrets still open."""

    @abstractmethod
    def seal(self, data: bytes, context: bytes) -> str:
        """Return URL-safe text that opens to ``data`` under the same context only."""

    @abstractmethod
    def open(self, text: str, context: bytes) -> bytes | None:
        """Return the data, or None where the text was not sealed here, for this context."""
