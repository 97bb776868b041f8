"""The drills of events in short, and the proof that each can fail.

A fault is put into a copy of the package, and the drill that looks for it must find it.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from drilling import Patch, changed, drill

SEED = random.randrange(10**6)
TERM = "1"
QUICK: tuple[Patch, ...] = (  # a tenth of the terms, so that three of them end soon
    ("kernel/flow/shares.py", "TERM = timedelta(seconds=10)", "TERM = timedelta(seconds=1)"),
    ("kernel/flow/shares.py", "RENEW = 3.0", "RENEW = 0.3"),
    ("kernel/flow/shares.py", "WAITING = 1.0", "WAITING = 0.2"),
)
NO_COMPARE_AND_SET: Patch = (
    "kernel/flow/inbox.py",
    "changes=told, id=row.id, version=row.version, expected=1)",
    "changes=told, id=row.id)",
)
NOT_KNOWN_AGAIN: tuple[Patch, ...] = (
    ("kernel/flow/filing.py", "mark=mark_of(consumer, envelope.id)", "mark=str(self._ports.ids.next())"),
)
DEAD_LETTERS_LOST: Patch = (
    "kernel/flow/judging.py",
    '{"state": State.DEAD, "place": None, "due_at": None, "cause": cause',
    '{"state": State.DROPPED, "place": None, "due_at": None, "cause": cause',
)
POISON = ("--what", "poison", "--count", "300", "--rounds", "1", "--keep", "0.3")  # too few to measure by


@pytest.fixture(autouse=True)
def _told() -> None:
    print(f"drilled by the seed {SEED}")


def drawn(*values: object) -> object:
    """Return a case of the seed that was drawn, named by the rest of it."""
    return pytest.param(*values, SEED, id="-".join(map(str, (*values, "drawn"))))


@pytest.mark.parametrize(("broker", "seed"), [drawn("none")])
def test_kills_of_workers_lose_nothing_and_double_nothing(broker: str, seed: int) -> None:
    code, told = drill("events", "--what", "workers", "--broker", broker, "--count", "6", "--seed", str(seed))
    assert code == 0, str(told)
    assert sum(told["broken"].values()) >= 6


@pytest.mark.parametrize(("broker", "count", "seed"), [drawn("redis", 3)])
def test_kills_of_a_broker_lose_nothing_and_double_nothing(broker: str, count: int, seed: int) -> None:
    code, told = drill("events", "--what", "broker", "--broker", broker, "--count", str(count), "--seed", str(seed))
    assert code == 0, str(told)
    assert told["broken"] == {"broker": count}


@pytest.mark.parametrize(("broker", "seed"), [("database", 1), drawn("redis")])
def test_messages_that_come_again_in_any_order_have_one_effect(broker: str, seed: int) -> None:
    code, told = drill("events", "--what", "duplicates", "--broker", broker, "--count", "300", "--seed", str(seed))
    assert code == 0, str(told)
    assert told["effects"] == 300 < told["delivered"]


@pytest.mark.parametrize("seed", [1])
def test_poison_ends_in_the_dead_letters_and_is_redriven(seed: int) -> None:
    code, told = drill("events", *POISON, "--seed", str(seed))
    assert code == 0, str(told)
    assert told["dead"] == told["redriven"] > 0


def test_a_holder_that_stood_still_doubles_nothing(tmp_path: Path) -> None:
    options = ("--what", "stalls", "--count", "3", "--term", TERM, "--seed", str(SEED))
    code, told = drill("events", *options, package=changed(tmp_path, *QUICK))
    assert code == 0, str(told)
    assert sum(told["broken"].values()) >= 3


@pytest.mark.parametrize(
    ("options", "patches", "faults"),
    [
        pytest.param(
            ("--what", "stalls", "--count", "6", "--term", TERM),
            (*QUICK, NO_COMPARE_AND_SET),
            {"effects_twice"},
            id="done without a compare and set",
        ),
        pytest.param(
            ("--what", "duplicates", "--broker", "database", "--count", "300"),
            NOT_KNOWN_AGAIN,
            {"effects_twice"},
            id="not known again",
        ),
        pytest.param(POISON, (DEAD_LETTERS_LOST,), {"not_dead"}, id="dead letters are lost"),
    ],
)
def test_the_drills_find(
    tmp_path: Path, options: tuple[str, ...], patches: tuple[Patch, ...], faults: set[str]
) -> None:
    code, told = drill("events", *options, package=changed(tmp_path, *patches))
    assert code == 1, str(told)
    assert told["faults"].keys() & faults, str(told)
