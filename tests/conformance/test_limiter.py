"""The limiters keep the contract of their port."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.adapters.local.shared_limiter import SharedLimiter
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter
from mainstay.testing.conformance.limiter import LimiterConformance


class TestMemoryLimiter(LimiterConformance):
    def make_limiter(self, clock: Clock, max_keys: int) -> Limiter:
        return MemoryLimiter(clock, max_keys=max_keys)


class TestSharedLimiter(LimiterConformance):
    folder: Path
    made = 0

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_limiter(self, clock: Clock, max_keys: int) -> Limiter:
        self.made += 1
        return SharedLimiter(self.folder / f"limits-{self.made}", clock, max_keys=max_keys)
