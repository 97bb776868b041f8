"""The drill of streams in short, and the proof that it finds what holds all rows, or loses one."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

WHOLE: Patch = (
    "adapters/sql/rows.py",
    "            async for rows in batches:\n",
    "            for rows in [each async for each in batches]:\n",
)
LOST: Patch = (
    "adapters/sql/rows.py",
    "                for row in self._statements.codec.many(rows):\n",
    "                for row in self._statements.codec.many(rows)[1:]:\n",
)


def test_rows_are_streamed_in_constant_memory() -> None:
    code, told = drill("stream", "--count", "100000")
    assert code == 0, told


@pytest.mark.parametrize(
    ("patch", "fault"),
    [pytest.param(WHOLE, "memory id", id="all rows are held"), pytest.param(LOST, "rows id", id="rows are lost")],
)
def test_the_drill_finds_what_does_not_stream(tmp_path: Path, patch: Patch, fault: str) -> None:
    code, told = drill("stream", "--count", "100000", package=changed(tmp_path, patch))
    assert code == 1, told
    assert fault in told, told
