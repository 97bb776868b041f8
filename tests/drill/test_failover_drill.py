"""The drill of fail-overs of PostgreSQL in short, and the proof that it can fail."""

from __future__ import annotations

from pathlib import Path

from drilling import Patch, changed, drill

NOT_ON_THE_STANDBY: Patch = (
    "adapters/sql/postgres/link.py",
    '"synchronous_commit": options.synchronous,',
    '"synchronous_commit": "local",',
)


def test_a_fail_over_loses_nothing_and_doubles_nothing() -> None:
    code, told = drill("failover", "--count", "2")
    assert code == 0, str(told)
    assert told["fail_overs"] == 2
    assert told["acknowledged"] > 50


def test_a_fail_over_finds_what_was_acknowledged_before_the_standby_had_it(tmp_path: Path) -> None:
    code, told = drill("failover", "--count", "1", package=changed(tmp_path, NOT_ON_THE_STANDBY))
    assert code == 1, str(told)
    assert told["faults"].keys() & {"lost", "effects_missing"}, str(told)
