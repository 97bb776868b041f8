"""A broker whose moods a test decides, and a service that listens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from flow_world import Talk, say
from kernel_world import Build, World

from mainstay.adapters.memory.broker import MemoryBroker, MemoryExchange
from mainstay.ports.broker import BrokerAway, Incoming, Outgoing, Subscription


class Moody(MemoryBroker):
    """A broker that is away while it is told to be, and keeps and confirms what and when it is told to."""

    def __init__(self) -> None:
        super().__init__(MemoryExchange())
        self.away = False
        self.confirms: int | None = None
        self.confirming: asyncio.Event | None = None  # what it waits for before it confirms
        self.opened = 0
        self.published: list[Outgoing] = []

    async def open(self, topics: Collection[str]) -> None:
        self.opened += 1
        if self.away:
            raise BrokerAway("gone")

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        if self.away:
            raise BrokerAway("gone")
        kept = messages[: self.confirms]
        self.published += kept
        confirmed = await super().publish(kept)
        if self.confirming is not None:
            await self.confirming.wait()
        return confirmed

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        if self.away:
            raise BrokerAway("gone")
        return await super().subscribe(group, topics)

    def hand(self, bodies: Sequence[bytes]) -> None:
        """Hand messages to the service in some order of the test's own."""
        for body in bodies:
            self.exchange.groups["sample"].put(Incoming(topic="talk.Happened", body=body))


async def subscribed(build: Build, talk: Talk, broker: Moody) -> tuple[World, Any]:
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await worker.step()  # it has joined its group
    return world, worker


async def emitted(world: World, worker: Any, broker: Moody, *numbers: int, key: str | None = "k") -> list[bytes]:
    """Emit numbers, take what was published out of the broker, and return it."""
    await say(world, *numbers, key=key)
    await worker.shares.step()
    await worker.relay.step()
    waiting = broker.exchange.groups["sample"].waiting
    bodies = [one.body for one in waiting]
    waiting.clear()
    return bodies


def notices(world: World) -> list[str]:
    return [notice.event for notice in world.ear.notices]
