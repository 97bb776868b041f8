"""The limiter of a host: exact among processes, and whole again after one is killed or stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainstay.adapters.local import shared_table
from mainstay.adapters.local.shared_limiter import SharedLimiter
from mainstay.model.limits import Limit, limit
from mainstay.testing.conformance.limiter import SettableClock

DAILY = limit("4000/day", name="daily")
WINDOW = limit("4000/day", name="window", algorithm="sliding-window")
PLENTY = limit("9000000/day", name="plenty")

PRELUDE = """
import os, sys, time
from mainstay.adapters.local.shared_limiter import SharedLimiter
from mainstay.model.limits import limit
from mainstay.testing.conformance.limiter import SettableClock

daily = limit("4000/day", name="daily")
window = limit("4000/day", name="window", algorithm="sliding-window")
plenty = limit("9000000/day", name="plenty")
limiter = SharedLimiter(sys.argv[1], SettableClock(), max_keys=int(sys.argv[2]))
table = limiter._table
print("ready", flush=True)
sys.stdin.readline()
"""
HAMMER = """
admitted = 0
for number in range(3000):
    admitted += all(verdict.allowed for verdict in limiter.charge([(daily, "one"), (window, "one")][:int(sys.argv[3])]))
print(admitted, flush=True)
"""
HAMMER_FOR_EVER = """
while True:
    print(int(limiter.charge([(plenty, "one")])[0].allowed), flush=True)
"""
WRITE_FOR_EVER = """
slot = table.slot(table.at(0), 0)
table.write(slot, 1 << 64 | 1, 1)
print("written", flush=True)
while True:
    table.write(slot, 2 << 64 | 2, 2)
    table.write(slot, 1 << 64 | 1, 1)
"""
HOLD = """
table.locks.acquire(table.address + table.at(0))
print("held", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


@contextmanager
def workers(script: str, path: Path, *arguments: object, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that open the limiter, and let them go at once."""
    command = [sys.executable, "-c", PRELUDE + script, str(path), *map(str, arguments)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        for process in started:
            assert line(process) == "ready"
        for process in started:
            tell(process)
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def opened(path: Path, *, max_keys: int = 256) -> Iterator[SharedLimiter]:
    limiter = SharedLimiter(path, SettableClock(), max_keys=max_keys)
    try:
        yield limiter
    finally:
        limiter.close()


def admitted(limiter: SharedLimiter, what: Limit, key: str, calls: int) -> int:
    return sum(limiter.charge([(what, key)])[0].allowed for _ in range(calls))


def seconds_of(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


@pytest.mark.parametrize("limits", [1, 2])
def test_four_processes_admit_the_quota_exactly(tmp_path: Path, limits: int) -> None:
    with workers(HAMMER, tmp_path / "limits", 256, limits, count=4) as hammering:
        counts = [int(line(process)) for process in hammering]

    assert sum(counts) == 4000


def test_nothing_is_lost_or_locked_when_hammering_processes_are_killed(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    counted = 0
    rounds = 8
    for turn in range(rounds):
        with workers(HAMMER_FOR_EVER, path, 256, count=2) as hammering:
            time.sleep(0.004 * (turn + 1))
            for process in hammering:
                process.send_signal(signal.SIGKILL)
            for process in hammering:
                assert process.stdout is not None
                counted += process.stdout.read().count("1\n")

    with opened(path) as limiter:
        assert seconds_of(lambda: limiter.charge([(PLENTY, "two")])) < 0.9
        used = PLENTY.quota - limiter.peek([(PLENTY, "one")])[0].remaining - 1
    # A process that is killed between the charge and its print has used one call that nobody counted.
    assert counted <= used <= counted + 2 * rounds
    assert counted > 100


def test_no_word_of_a_slot_is_ever_there_in_part(tmp_path: Path) -> None:
    """What another process sees between two instructions is what a kill there would leave."""
    path = tmp_path / "limits"
    with opened(path) as limiter, workers(WRITE_FOR_EVER, path, 256) as (writing,):
        assert line(writing) == "written"
        table = limiter._table
        slot = table.slot(table.at(0), 0) // 8
        with memoryview(table._map) as octets, octets.cast("Q") as words:
            seen, until = set[int](), time.monotonic() + 20
            for _ in range(20):
                seen |= {words[slot + word] for _ in range(5000) for word in range(3)}
            while len(seen) < 2 and time.monotonic() < until:  # the other process has not had its turn
                seen |= {words[slot + word] for word in range(3)}

    assert seen == {1, 2}


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with opened(path, max_keys=8) as limiter, workers(HOLD, path, 8) as (holder,):
        assert line(holder) == "held"
        tell(holder)
        holder.wait()

        assert seconds_of(lambda: limiter.charge([(DAILY, "one")])) < 0.9
        assert admitted(limiter, DAILY, "one", 4100) == 3999


def test_a_stopped_holder_delays_the_others_once(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with opened(path, max_keys=8) as limiter, workers(HOLD, path, 8) as (holder,):
        assert line(holder) == "held"
        holder.send_signal(signal.SIGSTOP)

        assert 0.9 < seconds_of(lambda: limiter.charge([(DAILY, "one")])) < 10
        assert seconds_of(lambda: admitted(limiter, DAILY, "one", 20)) < 0.9

        holder.send_signal(signal.SIGCONT)
        tell(holder)
        holder.wait()
        assert admitted(limiter, DAILY, "one", 4100) == 4000 - 21


def test_threads_of_one_process_are_exact(tmp_path: Path) -> None:
    with opened(tmp_path / "limits") as limiter:
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(admitted(limiter, DAILY, "one", 1500))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sum(counts) == 4000


def test_a_fork_shares_the_counts(tmp_path: Path) -> None:
    with opened(tmp_path / "limits") as limiter:
        admitted(limiter, DAILY, "one", 10)
        child = os.fork()
        if child == 0:
            admitted(limiter, DAILY, "one", 5)
            os._exit(0)
        os.waitpid(child, 0)

        assert limiter.peek([(DAILY, "one")])[0].remaining == 4000 - 16


def test_counts_outlive_the_processes(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with opened(path) as limiter:
        admitted(limiter, DAILY, "one", 100)
        admitted(limiter, WINDOW, "one", 100)
    with opened(path) as limiter:
        assert [verdict.remaining for verdict in limiter.peek([(DAILY, "one"), (WINDOW, "one")])] == [3899, 3899]


def test_a_file_of_another_size_or_start_of_the_host_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "limits"
    with opened(path) as limiter:
        admitted(limiter, DAILY, "one", 4000)
    with opened(path, max_keys=512) as limiter:
        assert admitted(limiter, DAILY, "one", 5000) == 4000
    boot = tmp_path / "boot_id"
    boot.write_text("another start of the host")
    monkeypatch.setattr(shared_table, "_BOOT_ID", boot)
    with opened(path, max_keys=512) as limiter:
        assert admitted(limiter, DAILY, "one", 1) == 1
    path.write_bytes(b"\0" * path.stat().st_size)
    with opened(path, max_keys=512) as limiter:
        assert admitted(limiter, DAILY, "one", 1) == 1


def test_the_file_is_private_and_of_fixed_size(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with opened(path, max_keys=1024) as limiter:
        size = path.stat().st_size
        for number in range(20_000):
            limiter.charge([(DAILY, f"key {number}")])

        assert path.stat().st_size == size < 64_000
        assert path.stat().st_mode & 0o777 == 0o600
        assert sorted(each.name for each in tmp_path.iterdir()) == ["limits", "limits.lock"]
    assert all(f"key {number}".encode() not in path.read_bytes() for number in range(10))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "limits").symlink_to(tmp_path / "other")

    with pytest.raises(OSError, match="limits"):
        SharedLimiter(tmp_path / "limits", SettableClock())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with opened(path):
        os.chown(path, 65534, 65534)

    with pytest.raises(PermissionError, match="another user"):
        SharedLimiter(path, SettableClock(), max_keys=256)


def test_a_table_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_keys"):
        SharedLimiter(tmp_path / "limits", SettableClock(), max_keys=0)


def test_nonsense_in_the_file_is_no_error(tmp_path: Path) -> None:
    """A slot that was half written, or worse."""
    with opened(tmp_path / "limits", max_keys=8) as limiter:
        for number in range(8):
            limiter.charge([(DAILY, str(number)), (WINDOW, str(number))])
        table = limiter._table
        start = table.at(0) + 128
        table._map[start : start + 8 * 32] = bytes(range(256))[: 8 * 32]
        for number in range(8):
            for what in (DAILY, WINDOW):
                limiter.charge([(what, str(number))])


def test_more_limits_than_shared_buckets(tmp_path: Path) -> None:
    with opened(tmp_path / "limits", max_keys=2) as limiter:
        limits = [limit(f"{number + 1}/day") for number in range(6)]
        for what in limits:
            assert limiter.charge([(what, f"{what.quota}")])[0].limit == what
