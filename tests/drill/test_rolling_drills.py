"""Restarts without a gap, in short, by each server; and the proof that the drill can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drilling import Patch, changed, drill

HUNG_UP, HUNG_UP_SINGLE, HUNG_UP_GRANIAN, HUNG_UP_UVICORN, KEPT = range(6, 11)

NO_DRAIN: tuple[Patch, ...] = (
    (
        "inbound/http/server.py",
        "        if idle_seconds and await self._shared.emptied(min(idle_seconds, seconds)):\n",
        "        if False:\n",
    ),
    ("inbound/http/server.py", "self._shared.retire(RECENT)", "self._shared.abort()"),
)


def rolled(part: int, count: int, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Do one part of the drill; return its exit code and what it said at the end."""
    return drill("restart", "--count", str(count), "--only", str(part), package=package)


@pytest.mark.parametrize(
    ("part", "count"), [(HUNG_UP, 1), (HUNG_UP_SINGLE, 1), (HUNG_UP_GRANIAN, 1), (HUNG_UP_UVICORN, 1), (KEPT, 2)]
)
def test_no_request_fails_when_workers_are_followed_by_new_ones(part: int, count: int) -> None:
    code, told = rolled(part, count)
    assert code == 0, str(told)
    ((_, figures),) = told["parts"].items()
    assert figures["slow"] > 5
    assert figures["streams_ended"] >= 6


def test_the_drill_finds_workers_that_do_not_wait_for_their_calls(tmp_path: Path) -> None:
    code, told = rolled(HUNG_UP, 1, changed(tmp_path, *NO_DRAIN))
    assert code == 1
    assert told["faults"]["hung_up"]["failed"][0] > 3, told
