"""The sources of this machine, and those that tests decide, do what every source must."""

from __future__ import annotations

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Entropy, Ids
from mainstay.testing.conformance.sources import ClockConformance, EntropyConformance, IdsConformance
from mainstay.testing.fixed import FixedClock, SeededEntropy, SequentialIds


class TestSystemClock(ClockConformance):
    def make_clock(self) -> Clock:
        return SystemClock()


class TestFixedClock(ClockConformance):
    def make_clock(self) -> Clock:
        return FixedClock()


class TestSystemIds(IdsConformance):
    def make_ids(self) -> Ids:
        return SystemIds()


class TestSequentialIds(IdsConformance):
    def make_ids(self) -> Ids:
        return SequentialIds()


class TestSystemEntropy(EntropyConformance):
    def make_entropy(self) -> Entropy:
        return SystemEntropy()


class TestSeededEntropy(EntropyConformance):
    def make_entropy(self) -> Entropy:
        return SeededEntropy()
