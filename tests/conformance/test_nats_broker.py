"""The broker on NATS JetStream does what every broker must, on the server that MAINSTAY_TEST_NATS names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio
from broker_leftovers import clear_nats
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.nats.broker import NatsBroker
from mainstay.adapters.nats.connection import NatsPlace
from mainstay.adapters.observe.fanout import Fanout
from mainstay.ports.broker import Broker


class TestNatsBroker(CutAgainConformance):
    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self) -> AsyncIterator[None]:
        parts = urlsplit(server("MAINSTAY_TEST_NATS"))
        async with CuttingProxy(parts.port or 4222).open() as self.proxy:
            yield

    def make_broker(self) -> Broker:
        place = NatsPlace(servers=(f"127.0.0.1:{self.proxy.port}",))
        return NatsBroker(place, clock=SystemClock(), observer=Fanout([]), prefix=self.prefix)

    async def interrupt(self) -> None:
        assert self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()

    async def clear(self) -> None:
        await clear_nats(server("MAINSTAY_TEST_NATS"), self.prefix)
