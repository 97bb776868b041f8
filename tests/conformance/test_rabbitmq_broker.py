"""The RabbitMQ broker does what every broker must, on the server that MAINSTAY_TEST_RABBITMQ names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from broker_leftovers import clear_rabbitmq
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance
from tests.conformance.servers import server
from yarl import URL

from mainstay.adapters.rabbitmq.broker import RabbitMqBroker
from mainstay.ports.broker import Broker


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
        await clear_rabbitmq(server("MAINSTAY_TEST_RABBITMQ"), self.prefix)
