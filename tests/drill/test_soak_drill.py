"""An hour of mixed load in short, and the proof that what piles up is seen."""

from __future__ import annotations

from pathlib import Path

from drilling import Patch, changed, drill

CALLS_KEPT: Patch = (
    "adapters/observe/fanout.py",
    "        for take in self._takes:\n",
    "        self.__dict__.setdefault('kept', []).append(bytes(32_768))\n        for take in self._takes:\n",
)
CONNECTIONS_KEPT: Patch = (
    "app/siblings.py",
    "                return await _whole(reader)\n            finally:\n                writer.close()",
    "                return await _whole(reader)\n            finally:\n                _KEPT.append(writer)",
)
A_LIST: Patch = ("app/siblings.py", "_SECONDS = 1.0\n", "_SECONDS = 1.0\n_KEPT: list[object] = []\n")
SHORT = ("--rate", "150", "--orders", "2000")


def test_a_mixed_load_leaves_nothing_behind() -> None:
    code, told = drill("soak", "--count", "12", *SHORT)
    assert code == 0, str(told)
    assert told["calls"] > 400
    assert {"200", "201", "400", "401", "403", "404", "405", "422", "left"} <= told["answers"].keys()
    assert told["resident"] < 64, told


def test_memory_that_is_kept_for_each_call_is_noticed(tmp_path: Path) -> None:
    code, told = drill("soak", "--count", "8", *SHORT, package=changed(tmp_path, CALLS_KEPT))
    assert code == 1
    assert told["faults"].keys() & {"own 0", "own 1"}


def test_connections_that_are_not_closed_are_noticed(tmp_path: Path) -> None:
    code, told = drill("soak", "--count", "8", *SHORT, package=changed(tmp_path, A_LIST, CONNECTIONS_KEPT))
    assert code == 1
    assert told["faults"].keys() & {"descriptors 0", "descriptors 1"}
