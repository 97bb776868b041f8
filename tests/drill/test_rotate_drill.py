"""Signing keys rotate without a failed request, in short; and the proof that the drill can fail."""

from __future__ import annotations

from pathlib import Path

from drilling import Patch, changed, drill

NO_OVERLAP: Patch = (
    "identity/sessions/keys.py",
    "verifies_until=max(begins, key.signs_from) + self._life",
    "verifies_until=begins",
)


BUSY = {"503 revocations_unknown", "503 overloaded"}
"""What is answered, as it must be, where the machine stands still for a second: it has other tests to run."""


def test_no_request_fails_when_keys_are_rotated() -> None:
    code, told = drill("rotate", "--count", "2")
    faults = told.get("faults", {})
    assert code == 0 or (faults.keys() == {"failed"} and faults["failed"].keys() <= BUSY), str(told)
    assert told["keys_that_signed"] == 3
    assert told["requests"] > 1000


def test_the_drill_finds_keys_that_end_with_their_successors_begin(tmp_path: Path) -> None:
    code, told = drill("rotate", "--count", "1", package=changed(tmp_path, NO_OVERLAP))
    assert code == 1
    assert any(what.startswith("401") for what in told["faults"]["failed"]), told
