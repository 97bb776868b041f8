"""A broker whose connections are cut again and again loses nothing."""

from __future__ import annotations

import asyncio
from random import Random

from mainstay.ports.broker import Broker, BrokerAway, Subscription
from mainstay.testing.conformance.broker import PATIENCE, TOPICS, BrokerConformance, outgoing, published

MESSAGES = 600
BATCH = 50
PAUSE = 0.2  # seconds, at most, between two cuts
CUTS = 8


class CutAgainConformance(BrokerConformance):
    """What every broker must do, and that it goes on under cuts that come at any moment."""

    async def test_it_loses_nothing_while_its_connections_are_cut_again_and_again(self, broker: Broker) -> None:
        other = self.make_broker()
        await other.open(TOPICS)
        members = [await broker.subscribe("billing", TOPICS), await other.subscribe("billing", TOPICS)]
        messages = [outgoing(b"%d" % n, TOPICS[n % 2], key=f"key {n % 7}") for n in range(MESSAGES)]
        found: set[bytes] = set()

        async def drain(member: Subscription) -> None:
            while len(found) < MESSAGES:
                try:
                    got = await member.take(20, 0.5)
                    found.update(one.body for one in got)
                    await member.acknowledge(got)
                except BrokerAway:
                    await asyncio.sleep(0.05)

        async def publish() -> None:
            for start in range(0, MESSAGES, BATCH):
                await published(broker, messages[start : start + BATCH])

        async def cut() -> None:
            chance = Random(0)
            for _ in range(CUTS):
                await asyncio.sleep(chance.uniform(0, PAUSE))
                await self.sever()

        async with asyncio.timeout(PATIENCE * 2):
            await asyncio.gather(publish(), cut(), *map(drain, members))
        assert found == {one.body for one in messages}
        for member in members:
            await member.close()
        await other.close()

    async def sever(self) -> None:
        """Cut the connections that there are, if any are there just now."""
        raise NotImplementedError
