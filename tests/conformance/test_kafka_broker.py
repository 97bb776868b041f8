"""The Kafka broker does what every broker must, on the server that MAINSTAY_TEST_KAFKA names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from confluent_kafka.admin import AdminClient
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance
from tests.conformance.servers import server

from mainstay.adapters.kafka.broker import KafkaBroker
from mainstay.ports.broker import Broker


def address() -> str:
    """Return where the server is."""
    return server("MAINSTAY_TEST_KAFKA").removeprefix("kafka://")


def take_away(prefix: str) -> None:
    """Delete the topics of a broker with this prefix."""
    client = AdminClient({"bootstrap.servers": address()})
    names = [name for name in client.list_topics(timeout=30).topics if name.startswith(f"{prefix}.")]
    for future in client.delete_topics(names).values() if names else ():
        future.result(30)


class TestKafkaBroker(CutAgainConformance):
    transactions = False

    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self) -> AsyncIterator[None]:
        async with CuttingProxy(int(address().rpartition(":")[2]), kafka=True).open() as self.proxy:
            yield

    def make_broker(self) -> Broker:
        return KafkaBroker(
            f"127.0.0.1:{self.proxy.port}", prefix=self.prefix, partitions=3, transactions=self.transactions
        )

    async def interrupt(self) -> None:
        self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()

    async def clear(self) -> None:
        await asyncio.to_thread(take_away, self.prefix)


class TestKafkaBrokerWithTransactions(TestKafkaBroker):
    transactions = True
