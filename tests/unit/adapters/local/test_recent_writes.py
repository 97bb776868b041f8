"""Moments of writes in a mapped table: shared by the processes of a host, later than the truth and never earlier."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from mainstay.adapters.local.recent_writes import MARGIN, PLACES, MappedRecentWrites
from mainstay.model.principal import Principal

ANN = Principal(id=UUID(int=7), tenant="a")
ELSEWHERE = Principal(id=UUID(int=7), tenant="b")
BOB = Principal(id=UUID(int=8))
MARGIN_SECONDS = MARGIN / 1e9
OTHER = """
import sys, time
from pathlib import Path
from uuid import UUID
from mainstay.adapters.local.recent_writes import MappedRecentWrites
from mainstay.model.principal import Principal
MappedRecentWrites(time.monotonic, Path(sys.argv[1])).note(Principal(id=UUID(int=7), tenant="a"))
"""


class Clock:
    def __init__(self, *moments: float) -> None:
        self.moments = list(moments)

    def __call__(self) -> float:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]


def test_who_has_written_is_told_with_the_moment_and_nobody_else() -> None:
    recent = MappedRecentWrites(Clock(3.0))
    assert recent.last(ANN) < 0
    recent.note(ANN)
    assert recent.last(ANN) == pytest.approx(3.0 + MARGIN_SECONDS)
    assert recent.last(ELSEWHERE) < 0
    assert recent.last(BOB) < 0


def test_a_caller_who_shares_a_place_is_told_the_later_moment() -> None:
    recent = MappedRecentWrites(Clock(3.0))
    recent.note(Principal.anonymous)
    assert recent.last(Principal.anonymous) >= 3.0
    many = [Principal(id=UUID(int=number)) for number in range(2 * PLACES)]
    for who in many:
        recent.note(who)
    assert all(recent.last(who) >= 3.0 for who in many)


def test_who_was_stopped_before_the_store_stores_a_later_moment() -> None:
    """What it overwrote may be of then: the look at the clock was long before."""
    recent = MappedRecentWrites(Clock(3.0, 9.0, 9.0, 9.001))
    recent.note(ANN)
    assert recent.last(ANN) == pytest.approx(9.0 + MARGIN_SECONDS)


def test_another_process_of_the_host_is_told(tmp_path: Path) -> None:
    path = tmp_path / "recent"
    recent = MappedRecentWrites(time.monotonic, path)
    before = time.monotonic()
    subprocess.run([sys.executable, "-c", OTHER, str(path)], check=True)
    assert before < recent.last(ANN) < time.monotonic() + MARGIN_SECONDS
    assert recent.last(BOB) < 0


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="recent"):
        MappedRecentWrites(time.monotonic, tmp_path / "missing" / "recent")
