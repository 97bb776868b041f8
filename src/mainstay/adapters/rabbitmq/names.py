"""What the exchanges and queues are called."""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """The names of one group; those of the exchanges are the same for all."""

    prefix: str
    group: str = ""

    @property
    def exchange(self) -> str:
        """Where everything is published to."""
        return f"{self.prefix}.events"

    @property
    def refused_exchange(self) -> str:
        """The dead-letter exchange; the routing key is the name of the group's queue."""
        return f"{self.prefix}.refused"

    @property
    def queue(self) -> str:
        """What the group is still to be handed."""
        return f"{self.prefix}.{self.group}"

    @property
    def refused_queue(self) -> str:
        """What the group has refused, or was handed too often."""
        return f"{self.queue}.refused"

    @property
    def record_queue(self) -> str:
        """One message: the topics that the group has asked for last."""
        return f"{self.queue}.topics"
