"""What topics and groups are called in the server."""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """Puts a prefix before each name, where there is one."""

    prefix: str

    def of(self, name: str) -> str:
        """Return the server's name of a topic or group."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def topic(self, name: str) -> str:
        """Return the topic that the server calls so."""
        return name[len(self.prefix) + 1 :] if self.prefix else name

    def refused(self, group: str) -> str:
        """Return where what a group refuses is kept."""
        return f"{self.of(group)}.refused"
