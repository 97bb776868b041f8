"""The gate of the hot path holds today's chain, and finds one that got dearer by a few per cent."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import gate
from bench.callgrind import MACHINES, Callgrind
from bench.gate import Count, GateError, compare, count, count_steps, load, read

import mainstay

# Put at the end of the protocol's module: every read of a connection costs some 8 % of a whole W1 more.
SLOW_DOWN = """

_quick = HttpProtocol.data_received


def _slow(self, data):
    for _ in range(6):
        str(_)
    _quick(self, data)


HttpProtocol.data_received = _slow
"""


def changed(folder: Path, addition: str) -> Path:
    """Copy the package, put something at the end of the protocol, and return the folder that holds the copy."""
    source = Path(mainstay.__file__).parent
    shutil.copytree(source, folder / "mainstay", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "mainstay/inbound/http/protocol.py").open("a") as file:
        file.write(addition)
    return folder


# The suite needs no tool beside Python: where valgrind is missing, or the machine is no x86-64, steps stand in for
# instructions. Steps are always counted, so that the stand-in works on the day that it is needed.
COUNTERS = [count_steps, count] if shutil.which("valgrind") and platform.machine() in MACHINES else [count_steps]


@pytest.fixture(scope="module", params=COUNTERS)
def counter(request: pytest.FixtureRequest) -> Callable[..., Count]:
    return request.param


@pytest.fixture(scope="module")
def counted(counter: Callable[..., Count]) -> Count:
    return counter(["W1", "W3"])


def test_the_chain_costs_no_more_than_the_baseline(counted: Count) -> None:
    findings = compare(counted, load(counted.unit))
    assert {one.name for one in findings} == {"W1", "W3"}
    assert not [one for one in findings if one.failed], f"{findings}: see `scripts/bench --gate`"


def test_the_gate_finds_a_chain_that_got_dearer(counter: Callable[..., Count], counted: Count, tmp_path: Path) -> None:
    (after,) = compare(counter(["W1"], package=changed(tmp_path, SLOW_DOWN)), counted)
    assert after.failed
    assert 0.03 < after.change < 0.2


def test_the_least_window_holds() -> None:
    profiles = [
        "desc: Trigger: Client Request: W1/0\ntotals: 250000\n",
        "desc: Trigger: Client Request: W1/1\ntotals: 225000\n",
        "desc: Trigger: Program termination\ntotals: 7\n",
    ]
    assert read(profiles) == {"W1": 225000 // gate.REQUESTS}


@pytest.mark.parametrize(
    ("build", "cost", "failed"),
    [
        ("3.11.7 aa", 1029, False),
        ("3.11.7 aa", 1031, True),
        ("3.11.2 bb", 1059, False),
        ("3.11.2 bb", 1061, True),
        ("3.13.0 cc", 1149, False),
        ("3.13.0 cc", 1151, True),
    ],
)
def test_another_build_of_python_is_given_more_room(build: str, cost: int, failed: bool) -> None:
    (found,) = compare(Count("steps", build, 2000, {"W1": cost * 2}), Count("steps", "3.11.7 aa", 1000, {"W1": 1000}))
    assert found.failed is failed


def test_what_threads_do_by_chance_may_cost_more() -> None:
    build = "3.11.7 aa"
    found = compare(
        Count("instructions", build, 1000, {"W5": 1060, "W6": 1060}),
        Count("instructions", build, 1000, {"W5": 1000, "W6": 1000}),
    )
    assert [(one.name, one.failed) for one in found] == [("W5", True), ("W6", False)]


def test_a_missing_valgrind_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(GateError, match="apt-get install valgrind"):
        count(["W1"])


def test_a_missing_baseline_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="--gate --write"):
        load(path=tmp_path / "baseline.json")


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = [Count(unit, "3.11.7 aa", 10, {"W1": 20}) for unit in ("instructions", "steps")]
    gate.write(written, tmp_path / "baseline.json")
    assert [load(one.unit, tmp_path / "baseline.json") for one in written] == written


@pytest.mark.parametrize("name", ["aarch64", "riscv64"])
def test_a_machine_of_another_kind_is_told_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: name)
    with pytest.raises(RuntimeError, match=f"x86_64 only, this is {name}"):
        Callgrind()


def test_the_counter_does_nothing_outside_valgrind() -> None:
    if platform.machine() not in MACHINES:
        return
    counter = Callgrind()
    counter.start()
    counter.zero()
    counter.dump("nothing")
    counter.stop()
