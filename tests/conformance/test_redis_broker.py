"""The broker on Redis Streams does what every broker must, on the server that MAINSTAY_TEST_REDIS names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio
from broker_leftovers import clear_redis
from cut_connections import CuttingProxy
from tests.conformance.cut_again import CutAgainConformance
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.redis.broker import RedisBroker
from mainstay.adapters.redis.connection import RedisPlace
from mainstay.ports.broker import Broker


class TestRedisBroker(CutAgainConformance):
    @pytest_asyncio.fixture(autouse=True)
    async def _proxy(self) -> AsyncIterator[None]:
        parts = urlsplit(server("MAINSTAY_TEST_REDIS"))
        async with CuttingProxy(parts.port or 6379).open() as self.proxy:
            yield

    def make_broker(self) -> Broker:
        place = RedisPlace(host="127.0.0.1", port=self.proxy.port)
        return RedisBroker(place, clock=SystemClock(), observer=Fanout([]), prefix=self.prefix)

    async def interrupt(self) -> None:
        assert self.proxy.cut()

    async def sever(self) -> None:
        self.proxy.cut()

    async def clear(self) -> None:
        await clear_redis(server("MAINSTAY_TEST_REDIS"), self.prefix)
