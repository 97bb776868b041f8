"""The loop that serves, and the threads beside it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from mainstay.app.serving import SWITCH, run_loop


def test_threads_give_way_to_the_loop_for_as_long_as_it_runs() -> None:
    async def main() -> int:
        assert type(asyncio.get_running_loop()).__module__ == "uvloop"
        assert sys.getswitchinterval() == pytest.approx(SWITCH)
        return 3

    before = sys.getswitchinterval()
    assert run_loop(main()) == 3
    assert sys.getswitchinterval() == before
