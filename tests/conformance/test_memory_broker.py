"""The memory broker does what every broker must."""

from __future__ import annotations

import pytest

from mainstay.adapters.memory.broker import MemoryBroker, MemoryExchange
from mainstay.ports.broker import Broker
from mainstay.testing.conformance.broker import BrokerConformance


class TestMemoryBroker(BrokerConformance):
    @pytest.fixture(autouse=True)
    def _exchange(self) -> None:
        self.exchange = MemoryExchange()

    def make_broker(self) -> Broker:
        return MemoryBroker(self.exchange)
