"""Sealed text: data that leaves the service and comes back, unread and unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Sealer(ABC):
    """Encrypt and authenticate small data: page cursors, links, state that a browser carries.

    ``context`` says what the text is for (the operation, its filters, the tenant). It is not in the text, but a text
    opens only with the context that it was sealed with, so that a cursor of one list is no cursor of another.
    """

    @abstractmethod
    def seal(self, data: bytes, context: bytes) -> str:
        """Return ``data`` as text of the URL-safe alphabet (RFC 4648, section 5). Two calls never return the same."""

    @abstractmethod
    def open(self, text: str, context: bytes) -> bytes | None:
        """Return the data of ``text``, or None where it was not sealed here for ``context``; bad text never raises."""
