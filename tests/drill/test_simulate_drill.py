"""The simulation in short, and the proof that it finds what is broken: each fault put into a copy within few seeds."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from drilling import DRILLS, Patch, changed, drill

from mainstay.kernel.flow import upkeep

COUNT, BATCH = 1000, 100
ENOUGH = 400  # seeds within which a fault is found
FOUND = tomllib.loads((DRILLS / "simulate" / "found.toml").read_text(encoding="utf-8"))["seed"]

ACKNOWLEDGED_FIRST: Patch = (
    "kernel/flow/intake.py",
    "            kept = await self._kept(subscription, read)\n",
    "            await subscription.acknowledge([message for message, _ in read])\n"
    "            kept = await self._kept(subscription, read) and []\n",
)
FAILED_AND_NOT_KEPT: Patch = (
    "kernel/flow/direct.py",
    "        if await self._store(replace(row, version=1, **changes)):\n",
    "        if changes:\n",
)
RUN_WITHOUT_MARK: Patch = (
    "kernel/flow/inbox.py",
    "        rows.insert([replace(row, version=1, updated_at=ports.clock.now(), **_DONE)])\n",
    "        pass\n",
)
NO_COMPARE_AND_SET: Patch = (
    "kernel/flow/inbox.py",
    "id=row.id, version=row.version, expected=1, shared=shared)",
    "id=row.id)",
)
NO_MARK: Patch = (
    "kernel/flow/inbox.py",
    "        if call.message is not None:\n            _step(call.message, unit, ports)\n        return True\n",
    "        return True\n",
)
DELETED_UNCONFIRMED: Patch = ("kernel/flow/publisher.py", "self.hand.owe(confirmed)", "self.hand.owe(ids)")
REMOVED_BEFORE_IT_IS_CONFIRMED: Patch = (
    "kernel/flow/courier.py",
    "                await self._publisher.publish(ours)\n",
    "                self._publisher.hand.owe([one.id for one in ours])\n"
    "                await self._publisher.publish(ours)\n",
)
KEPT_IN_HAND: Patch = ("kernel/flow/publisher.py", "            self.hand.let_go(ids - confirmed)\n", "")
RUNG_BEFORE_THE_COMMIT: Patch = (
    "kernel/invoke.py",
    "            call.committing = True\n",
    "            ring(scope.stored)\n            call.committing = True\n",
)
LEASES_NOT_LET_GO: Patch = (
    "kernel/flow/shares.py",
    "for p, fence in self._held.items() if p not in lost}",
    "for p, fence in self._held.items()}",
)
NOT_FILED: Patch = (
    "kernel/flow/relay.py",
    "wanted = [envelope_of(message, self._service) for message in found if self._filing.wanted(message.event)]",
    "wanted = [envelope_of(message, self._service) for message in found[:1] if self._filing.wanted(message.event)]",
)
PREVIOUS_IGNORED: Patch = ("kernel/flow/judging.py", "if not row.previous:", "if True:")
NO_PARKING: Patch = ("kernel/flow/judging.py", "return PARKED if case.queue.parks else None", "return None")
NO_PATIENCE: Patch = ("kernel/flow/judging.py", "end = row.created_at + GAP", "end = row.created_at")
LATE_ONES_RUN: Patch = (
    "kernel/flow/lateness.py",
    'Compare("state", "eq", State.DONE)',
    'Compare("state", "eq", State.DEAD)',
)
LANES_GO_ON: Patch = ("kernel/flow/runner.py", "return not waits", "return True")
FLOOR_IGNORED: Patch = ("kernel/flow/filing.py", "old = envelope.emitted_at < floor", "old = False")
SEQUENCES_UNLOCKED: tuple[Patch, ...] = (
    ("kernel/flow/sequences.py", "lock=True", "lock=False"),
    ("kernel/flow/sequences.py", "version=row.version, expected=1, before=row", "before=row"),
)
ONE_CHAIN_FOR_ALL_KINDS: Patch = (
    "kernel/flow/sequences.py",
    "        line = Line(event, key)\n        previous = self._last[line]\n",
    "        line = Line(event, key)\n        previous = max(self._last[line], 1)\n",
)


@pytest.mark.parametrize(
    "seed",
    [*range(1, COUNT, BATCH), random.randrange(2**32)],
    ids=[*map(str, range(1, COUNT, BATCH)), "drawn"],
)
def test_nothing_is_lost_doubled_or_out_of_order(seed: int) -> None:
    code, told = drill("simulate", "--count", str(BATCH), "--seed", str(seed))
    assert code == 0, f"scripts/drill simulate --count {BATCH} --seed {seed}: {told}"
    assert told["runs"] == BATCH
    assert told["effects"] > 20 * BATCH
    assert told["lives"] > 2 * BATCH


@pytest.mark.parametrize("found", FOUND, ids=lambda found: str(found["seed"]))
def test_what_was_found_once_is_found_no_more(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DRILLS))
    monkeypatch.setattr(upkeep, "CLEAN_SECONDS", upkeep.CLEAN_SECONDS)  # a run sets it
    from simulated_run import simulate

    assert simulate(found["seed"]).faults == [], found["fault"]


@pytest.mark.parametrize(
    "patches",
    [
        pytest.param((ACKNOWLEDGED_FIRST,), id="messages are acknowledged before they are kept"),
        pytest.param((FAILED_AND_NOT_KEPT,), id="what failed before it was stored is not stored"),
        pytest.param((RUN_WITHOUT_MARK,), id="what runs before it is stored leaves no mark"),
        pytest.param((NO_COMPARE_AND_SET,), id="a message is done whatever has become of it"),
        pytest.param((NO_MARK,), id="a message is not done with its effect"),
        pytest.param((DELETED_UNCONFIRMED,), id="what the broker has not confirmed is deleted"),
        pytest.param((REMOVED_BEFORE_IT_IS_CONFIRMED,), id="what was just committed is removed before it is confirmed"),
        pytest.param((KEPT_IN_HAND,), id="what could not be published is kept in hand"),
        pytest.param((RUNG_BEFORE_THE_COMMIT,), id="what is not committed is published"),
        pytest.param((NOT_FILED,), id="what is relayed is not filed"),
        pytest.param((PREVIOUS_IGNORED,), id="nobody waits for the message before"),
        pytest.param((NO_PARKING,), id="a dead letter does not park its key"),
        pytest.param((NO_PATIENCE,), id="a gap is not waited for"),
        pytest.param((LATE_ONES_RUN,), id="who wants the latest gets late ones"),
        pytest.param((LANES_GO_ON,), id="a key goes on past a failure"),
        pytest.param((FLOOR_IGNORED,), id="what is not known any more is done again"),
        pytest.param(SEQUENCES_UNLOCKED, id="sequences are given without a lock"),
        pytest.param((ONE_CHAIN_FOR_ALL_KINDS,), id="a message waits for one that is for others"),
        pytest.param((LEASES_NOT_LET_GO,), id="what is lost is tried again and again"),
    ],
)
def test_what_is_broken_is_found(patches: tuple[Patch, ...], tmp_path: Path) -> None:
    package = changed(tmp_path, *patches)
    code, told = drill("simulate", "--count", str(ENOUGH), "--until-found", "1", package=package)
    assert code == 1, str(told)
    assert told["faults"]


def test_a_seed_is_the_same_run_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, str(DRILLS / "drill_simulate.py"), "--count", "5", "--seed", "7", "--trace", "1"],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout.rpartition("\n{")[0]
        for hashes in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().count("digest") == 5


def test_a_run_touches_nothing_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DRILLS))
    monkeypatch.setattr(upkeep, "CLEAN_SECONDS", upkeep.CLEAN_SECONDS)
    from simulated_run import simulate

    before = simulate(3)  # what it needs is imported

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("something real was asked for")

    with monkeypatch.context() as real:
        for module, name in [
            (time, "time"),
            (time, "monotonic"),
            (time, "sleep"),
            (time, "time_ns"),
            (os, "urandom"),
            (random, "random"),
            (socket, "socket"),
            (threading.Thread, "start"),
            (subprocess, "Popen"),
        ]:
            real.setattr(module, name, refuse)
        after = simulate(3)
    assert after == before
