"""The simulated broker does what every broker must, whether nothing befalls it or all that may."""

from __future__ import annotations

from random import Random

import pytest

from mainstay.ports.broker import Broker
from mainstay.testing.conformance.broker import BrokerConformance
from mainstay.testing.simulation.broker import SimulatedBroker, SimulatedExchange


class TestSimulatedBroker(BrokerConformance):
    @pytest.fixture(autouse=True)
    def _exchange(self) -> None:
        self.exchange = SimulatedExchange(Random(1))

    def make_broker(self) -> Broker:
        return SimulatedBroker(self.exchange)

    async def interrupt(self) -> None:
        self.exchange.interrupt()
