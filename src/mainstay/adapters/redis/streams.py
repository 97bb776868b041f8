"""Names of keys: all of them begin alike."""

from __future__ import annotations

import msgspec


class Streams(msgspec.Struct, frozen=True):
    """The keys of one family of services."""

    prefix: str

    def of(self, topic: str) -> str:
        """Return the stream of a topic."""
        return f"{self.prefix}:stream:{topic}"

    def topics(self, group: str) -> str:
        """Return the set of the topics that a group has a place in."""
        return f"{self.prefix}:topics:{group}"

    def dead(self, group: str) -> str:
        """Return the stream of what a group has refused."""
        return f"{self.prefix}:dead:{group}"
