"""Log-ins do not slow others down, in short; and the proof that the drill can fail."""

from __future__ import annotations

from pathlib import Path

from drilling import Patch, changed, drill

CROWDED = ("--margin", "4", "--floor", "25")  # a machine that runs tests has other things to do
HASHED_ON_THE_LOOP: Patch = (
    "adapters/argon/hasher.py",
    "future = asyncio.get_running_loop().run_in_executor(self._pool, work)",
    "(future := asyncio.get_running_loop().create_future()).set_result(work())",
)


def test_log_ins_at_once_are_not_noticed_by_others() -> None:
    code, told = drill("log_ins", "--count", "3", "--crowd", "75", *CROWDED)
    assert code == 0, told
    assert told["log_ins"].keys() == {"200", "503"}  # some are more than may wait
    assert sum(told["log_ins"].values()) == 225
    assert told["others"] > 1200


def test_the_drill_finds_passwords_that_are_hashed_on_the_loop(tmp_path: Path) -> None:
    code, told = drill("log_ins", "--count", "2", *CROWDED, package=changed(tmp_path, HASHED_ON_THE_LOOP))
    assert code == 1, told
    assert told["faults"]["others_were_slower"] > 8, told
