"""The line to the broker: opened when it is first needed, and tried again with growing pauses while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.ports.broker import Broker, BrokerAway
from mainstay.ports.observer import Notice

BASE_PAUSE = 0.25  # seconds, doubled with each attempt that fails
MAX_PAUSE = 15.0


class BrokerLine:
    """One broker, as the parts of a worker share it. It is said once that it is away, and once that it is back."""

    def __init__(self, ports: Ports, broker: Broker, topics: Collection[str], counters: FlowCounters) -> None:
        self.broker: Broker = broker
        self.joined: bool = False  # the service's own group is there: what is published reaches it
        self._ports = ports
        self._topics = tuple(sorted(topics))
        self._counters = counters
        self._opening = asyncio.Lock()
        self._open = False
        self._failures = 0
        self._again = 0.0  # monotonic: nothing is tried before

    @property
    def up(self) -> bool:
        """Whether what is published now arrives, as far as is known: nothing is opened or tried for it."""
        return self._open and self.joined and not self._counters.broker_away

    async def ready(self) -> bool:
        """Whether the broker may be asked for something now. It is opened where it was not."""
        if self._ports.clock.monotonic() < self._again:
            return False
        async with self._opening:
            if not self._open:
                try:
                    await self.broker.open(self._topics)
                except BrokerAway as error:
                    self.away(error)
                    return False
                self._open = True
        return True

    def away(self, error: BrokerAway) -> None:
        """Note that the broker did not answer."""
        pause = min(BASE_PAUSE * 2.0 ** min(self._failures, 16), MAX_PAUSE)
        self._again = self._ports.clock.monotonic() + pause * (0.5 + self._ports.entropy.uniform())
        self._failures += 1
        if not self._counters.broker_away:
            self._counters.broker_away = True
            text = "the broker is away: events wait in the outbox until it is back"
            self._ports.observer.observe(Notice("warning", "broker_away", text, {"cause": str(error)}, error))

    def answered(self) -> None:
        """Note that the broker did what it was asked for."""
        self._failures, self._again = 0, 0.0
        if self._counters.broker_away:
            self._counters.broker_away = False
            self._ports.observer.observe(Notice("info", "broker_back", "the broker is back", {}))

    async def close(self) -> None:
        """Let the broker go."""
        if self._open:
            self._open = False
            await self.broker.close()
