"""The drill of transfers in short, and the proof that it finds what holds a file whole or sends another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

HELD_WHOLE: Patch = ("inbound/http/spool.py", "IN_MEMORY = 256 << 10", "IN_MEMORY = 1 << 40")
OBJECT_WHOLE: Patch = ("adapters/local/blobs.py", "_PART = 256 << 10", "_PART = 1 << 40")
STREAM_WHOLE: Patch = (
    "inbound/http/sending.py",
    "            async for part in self._stream:\n",
    "            for part in [part async for part in self._stream]:\n",
)
WRONG_PART: Patch = (
    "inbound/http/files.py",
    "            pieces.append(Piece(source, span))",
    "            pieces.append(Piece(source, Span(0, span.stop - span.start)))",
)


def test_large_files_go_up_and_down_in_constant_memory() -> None:
    code, told = drill("transfer", "--count", "1", "--unit", "64")
    assert code == 0, str(told)


@pytest.mark.parametrize(
    ("patch", "fault"),
    [
        pytest.param(HELD_WHOLE, "memory", id="an upload is held in memory"),
        pytest.param(OBJECT_WHOLE, "memory", id="an object is read at once"),
        pytest.param(STREAM_WHOLE, "memory", id="a stream is gathered"),
        pytest.param(WRONG_PART, "wrong", id="the wrong part is sent"),
    ],
)
def test_the_drill_finds_what_does_not_stream(tmp_path: Path, patch: Patch, fault: str) -> None:
    code, told = drill("transfer", "--count", "1", "--unit", "64", package=changed(tmp_path, patch))
    assert code == 1, told
    assert fault in told["faults"]
