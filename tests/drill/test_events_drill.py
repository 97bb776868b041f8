"""The drills of events in short, and the proof that each can fail.

A fault is put into a copy of the package, and the drill that looks for it must find it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drilling import DRILLS, Patch, changed, drill

SEED = random.randrange(10**6)
ALL = 7  # processes: the drill, its broker, the door, and two on each side
TERM = "1"  # a tenth of the product's
NO_COMPARE_AND_SET: Patch = (
    "kernel/flow/inbox.py",
    "changes=told, id=row.id, version=row.version, expected=1, shared=shared)",
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
ACKNOWLEDGED_FIRST: Patch = (
    "kernel/flow/intake.py",
    "            kept = await self._kept(subscription, read)\n",
    "            await subscription.acknowledge([message for message, _ in read])\n"
    "            await self._ports.clock.sleep(3.0)\n"  # so that a kill meets it there
    "            kept = await self._kept(subscription, read) and []\n",
)
REMOVED_FIRST: Patch = (
    "kernel/flow/publisher.py",
    "            confirmed = set(await self.line.broker.publish(outgoing)) if outgoing else set()\n",
    "            self.hand.owe(ids)\n"
    "            await self._ports.clock.sleep(1.5)\n"
    "            confirmed = set(await self.line.broker.publish(outgoing)) if outgoing else set()\n",
)
NOT_WAITED_FOR: Patch = ("kernel/flow/judging.py", "if not row.previous:", "if True:")
NO_PATIENCE: Patch = ("kernel/flow/judging.py", "end = row.created_at + GAP", "end = row.created_at")
KILL = ("--what", "workers", "--broker", "redis", "--count", "2", "--patience", "3", "--whom")  # both at once
DUPLICATES = ("--what", "duplicates", "--broker", "database", "--count", "300")
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


def test_a_holder_that_stood_still_doubles_nothing() -> None:
    options = ("--what", "stalls", "--count", "3", "--term", TERM, "--seed", str(SEED))
    code, told = drill("events", *options)
    assert code == 0, str(told)
    assert sum(told["broken"].values()) >= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_all_that_it_has_started(number: signal.Signals, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(DRILLS / "drill_events.py"),
        "--what",
        "broker",
        "--broker",
        "redis",
        "--count",
        "99",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environ |= {"TMPDIR": str(tmp_path), "STARTED_BY": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while len(seen := _started_by(tmp_path)) < ALL and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(seen) >= ALL
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
            assert _started_by(tmp_path) == []
        finally:
            for pid in _started_by(tmp_path):
                os.kill(pid, signal.SIGKILL)
    assert json.loads(said.splitlines()[-1])["ended"] == f"told to end by {number.name}"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def _started_by(mark: Path) -> list[int]:
    """Return the processes that have a drill's mark in their environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"STARTED_BY={mark}\0".encode() in each.read_bytes():
                found.append(int(each.parent.name))
    return found


@pytest.mark.parametrize(
    ("options", "patches", "faults"),
    [
        pytest.param(
            ("--what", "stalls", "--count", "6", "--term", TERM),
            (NO_COMPARE_AND_SET,),
            {"effects_twice"},
            id="done without a compare and set",
        ),
        pytest.param(
            (*KILL, "consumers"), (ACKNOWLEDGED_FIRST,), {"nowhere"}, id="acknowledged before it is in the inbox"
        ),
        pytest.param((*KILL, "relays"), (REMOVED_FIRST,), {"nowhere"}, id="removed before the broker has it"),
        pytest.param(DUPLICATES, NOT_KNOWN_AGAIN, {"effects_twice"}, id="not known again"),
        pytest.param(DUPLICATES, (NOT_WAITED_FOR,), {"out_of_order", "dead_letters"}, id="order is not waited for"),
        pytest.param(DUPLICATES, (NO_PATIENCE,), {"dead_letters"}, id="a gap is not waited for"),
        pytest.param(POISON, (DEAD_LETTERS_LOST,), {"not_dead"}, id="dead letters are lost"),
    ],
)
def test_the_drills_find(
    tmp_path: Path, options: tuple[str, ...], patches: tuple[Patch, ...], faults: set[str]
) -> None:
    code, told = drill("events", *options, package=changed(tmp_path, *patches))
    assert code == 1, str(told)
    assert told["faults"].keys() & faults, str(told)
