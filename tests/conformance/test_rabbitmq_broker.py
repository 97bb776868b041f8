"""The RabbitMQ broker does what every broker must, on the server that MAINSTAY_TEST_RABBITMQ names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aio_pika
import pytest_asyncio
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance
from tests.conformance.servers import server
from yarl import URL

from mainstay.adapters.rabbitmq.broker import RabbitMqBroker
from mainstay.adapters.rabbitmq.names import Names
from mainstay.ports.broker import Broker

GROUPS = ("billing", "shipping", "mail")


async def take_away(prefix: str) -> None:
    """Delete what a broker with this prefix has made."""
    async with await aio_pika.connect(server("MAINSTAY_TEST_RABBITMQ")) as connection:
        channel = await connection.channel()
        for names in (Names(prefix, group) for group in GROUPS):
            for queue in (names.queue, names.refused_queue, names.record_queue):
                await channel.queue_delete(queue)
            for exchange in (names.exchange, names.refused_exchange):
                await channel.exchange_delete(exchange)


class TestRabbitMqBroker(CutAgainConformance):
    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self) -> AsyncIterator[None]:
        self.url = URL(server("MAINSTAY_TEST_RABBITMQ"))
        async with CuttingProxy(self.url.port or 5672).open() as self.proxy:
            yield

    def make_broker(self) -> Broker:
        return RabbitMqBroker(str(self.url.with_port(self.proxy.port)), prefix=self.prefix)

    async def interrupt(self) -> None:
        self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()

    async def clear(self) -> None:
        await take_away(self.prefix)
