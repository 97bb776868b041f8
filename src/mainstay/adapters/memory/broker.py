"""A broker in the memory of one process: for tests, and for services that share one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from uuid import UUID

from mainstay.ports.broker import Broker, BrokerTraits, Incoming, Outgoing, Subscription

MAX_BYTES = 1 << 26


class _Group:
    """What one group is still to be handed."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()
        self.waiting: deque[Incoming] = deque()
        self.arrived = asyncio.Event()

    def put(self, message: Incoming) -> None:
        self.waiting.append(message)
        self.arrived.set()

    def put_back(self, messages: Sequence[Incoming]) -> None:
        self.waiting.extendleft(
            Incoming(topic=one.topic, body=one.body, times=one.times + 1, handle=one.handle)
            for one in reversed(messages)
        )
        if messages:
            self.arrived.set()


class MemoryExchange:
    """Where memory brokers meet. ``refused`` holds what was refused, with its cause."""

    def __init__(self) -> None:
        self.groups: dict[str, _Group] = {}
        self.refused: list[tuple[Incoming, str]] = []


class MemoryBroker(Broker):
    """Hands messages over within one process. What it holds ends with that."""

    traits = BrokerTraits(durable=False, ordered=True, max_bytes=MAX_BYTES, keeps_refused=True)

    def __init__(self, exchange: MemoryExchange | None = None) -> None:
        self.exchange: MemoryExchange = exchange or MemoryExchange()

    async def open(self, topics: Collection[str]) -> None:
        """Have nothing to do."""

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        for message in messages:
            for group in self.exchange.groups.values():
                if message.topic in group.topics:
                    group.put(Incoming(topic=message.topic, body=message.body))
        return frozenset(message.id for message in messages)

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        joined = self.exchange.groups.setdefault(group, _Group())
        joined.topics = frozenset(topics)
        return _MemorySubscription(self.exchange, joined)

    async def close(self) -> None:
        """Have nothing to do."""


class _MemorySubscription(Subscription):
    def __init__(self, exchange: MemoryExchange, group: _Group) -> None:
        self._exchange = exchange
        self._group = group
        self._taken: dict[int, Incoming] = {}

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        waiting = self._group.waiting
        if not waiting:
            self._group.arrived.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._group.arrived.wait()
            except TimeoutError:
                return ()
        taken = [waiting.popleft() for _ in range(min(limit, len(waiting)))]
        self._taken.update((id(one), one) for one in taken)
        return taken

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        for one in taken:
            self._taken.pop(id(one), None)

    async def refuse(self, taken: Incoming, cause: str) -> None:
        self._exchange.refused.append((taken, cause))
        await self.acknowledge((taken,))

    async def close(self) -> None:
        self._group.put_back(list(self._taken.values()))
        self._taken.clear()
