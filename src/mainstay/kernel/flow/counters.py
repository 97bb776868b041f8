"""What was done with events, as plain numbers for metrics, and what waits, as it was last looked up."""

from __future__ import annotations

import msgspec


class ConsumerCounters(msgspec.Struct):
    """One consumer's messages."""

    done: int = 0
    failed: int = 0  # attempts
    dead: int = 0
    dropped: int = 0
    running: int = 0
    pending: int = 0
    lag: float = 0.0  # seconds since the oldest pending message was emitted
    paused: bool = False


class FlowCounters(msgspec.Struct):
    """What one process did."""

    relayed: int = 0  # out of the outbox
    taken: int = 0  # from the broker
    refused: int = 0  # messages that could not be read, and those that the broker does not take
    conflicts: int = 0  # moves that met another and were done again
    outbox: int = 0  # that waits there
    outbox_lag: float = 0.0  # seconds since the oldest of it was emitted
    partitions: int = 0  # held
    broker_away: bool = False
    consumers: dict[str, ConsumerCounters] = {}

    def of(self, consumer: str) -> ConsumerCounters:
        """Return the counters of a consumer."""
        found = self.consumers.get(consumer)
        if found is None:
            found = self.consumers[consumer] = ConsumerCounters()
        return found

    @property
    def dead(self) -> int:
        """How many messages were given up."""
        return sum(each.dead for each in self.consumers.values())

    @property
    def done(self) -> int:
        """How many messages consumers have done."""
        return sum(each.done for each in self.consumers.values())
