"""The supervisor with workers that are made to die: it starts them again, ever later, and says that all is not well."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.app import seat as seats
from mainstay.app.rundir import RunDirectory
from mainstay.app.seat import REFUSED, Seat, Spec, read_status
from mainstay.app.sockets import listen
from mainstay.app.supervisor import Supervisor
from mainstay.app.terminal import Terminal
from mainstay.ports.observer import Notice, Observation, Observer

READY = "import json, os, sys, time; spec = json.loads(os.read(0, 65536)); os.write(spec['status'], b'+');"
STAY = READY + "sys.stdin.buffer.read()"
DIE = READY + "os._exit(3)"
REFUSE = f"import sys; sys.exit({REFUSED})"


class Heard(Observer):
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def observe(self, observation: Observation) -> None:
        assert isinstance(observation, Notice)
        self.notices.append(observation)

    def of(self, event: str) -> list[str]:
        return [one.message for one in self.notices if one.event == event]


class Stage:
    """A supervisor in the main thread, and a watcher that ends it."""

    def __init__(self, run: RunDirectory, workers: list[str], **more: Any) -> None:
        self.run = run
        self.heard = Heard()
        self.sockets = listen("127.0.0.1", 0, len(workers))
        self.seats = [
            Seat(index, one, None, command=(sys.executable, "-S", "-E", "-c", code))
            for index, (one, code) in enumerate(zip(self.sockets, workers, strict=True))
        ]
        self.supervisor = Supervisor(self.seats, self.spec, run, self.heard, drain=(0, 1), chance=lambda: 0.0, **more)

    def spec(self, seat: Seat, status: int) -> Spec:
        return Spec(
            index=seat.index,
            workers=len(self.seats),
            run=str(self.run.path),
            listening=seat.listening.fileno(),
            admin=None,
            status=status,
            directory="",
            profile="test",
            flags={},
        )

    def leaving(self) -> bool:
        return any(seat.leaving for seat in self.seats)

    def until(self, done: Callable[[], Any]) -> int:
        """Supervise until something has come to pass; fails after a bounded time."""
        seen: list[bool] = []

        def watch() -> None:
            deadline = time.monotonic() + 20
            while not done() and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append(bool(done()))
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = self.supervisor.run()
        watcher.join()
        assert seen == [True], self.heard.notices
        return code


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    made = RunDirectory(tmp_path)
    yield made
    made.close()


def test_all_seats_are_filled_and_it_is_told_once(run: RunDirectory) -> None:
    told: list[str] = []
    stage = Stage(run, [STAY, STAY, STAY], on_ready=lambda: told.append("ready"))
    assert stage.until(lambda: told) == 0
    status = read_status(run.path)
    assert status is not None
    assert (status.workers, status.ready, status.failing) == (3, 3, [])
    assert stage.heard.notices == []
    assert not any(one.workers for one in stage.seats)


def test_one_that_keeps_dying_is_started_ever_later_and_makes_the_host_unready(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "MAX_DELAY", 1.0)
    stage = Stage(run, [STAY, DIE])
    assert stage.until(lambda: (status := read_status(run.path)) is not None and status.failing == [1]) == 0
    delays = [message.rpartition(" in ")[2] for message in stage.heard.of("worker_died")]
    assert delays[:4] == ["0.1 s", "0.2 s", "0.5 s", "0.5 s"]
    assert stage.seats[0].failures == 0


def test_one_that_lives_again_is_forgiven(run: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(seats, "STEADY_SECONDS", 0.5)
    mark = tmp_path / "died"
    once = (
        READY
        + f"p = {str(mark)!r}; there = os.path.exists(p); open(p, 'w').close(); there or os._exit(3);"
        + STAY[len(READY) :]
    )
    stage = Stage(run, [STAY, once])
    seat = stage.seats[1]
    assert stage.until(lambda: stage.heard.of("worker_died") and seat.ready and seat.failures == 0) == 0
    assert len(stage.heard.of("worker_died")) == 1


def test_where_the_first_refuses_to_start_no_other_is_tried(run: RunDirectory) -> None:
    stage = Stage(run, [REFUSE, STAY])
    assert stage.supervisor.run() == 1
    assert stage.heard.notices == []
    assert stage.seats[1].worker is None


def test_one_that_does_not_end_is_killed(run: RunDirectory) -> None:
    deaf = (
        "import signal; signal.signal(15, signal.SIG_IGN); signal.signal(2, signal.SIG_IGN);" + READY + "time.sleep(60)"
    )
    stage = Stage(run, [deaf])
    began = time.monotonic()
    assert stage.until(lambda: stage.seats[0].ready) == 0
    assert time.monotonic() - began < 15
    assert stage.heard.of("worker_killed")


def test_a_change_starts_it_anew_and_a_refusal_waits_for_the_next_change(run: RunDirectory) -> None:
    pending: list[list[Path]] = []
    started: list[int] = []
    stage = Stage(run, [STAY], changes=lambda: pending.pop() if pending else [], on_ready=lambda: started.append(1))

    def step() -> bool:
        if len(started) == 1 and not stage.heard.of("reloading"):
            stage.seats[0]._command = (sys.executable, "-S", "-c", REFUSE)
            pending.append([Path("a.py")])
            while not stage.heard.of("waiting"):
                time.sleep(0.01)
            stage.seats[0]._command = (sys.executable, "-S", "-c", STAY)
            pending.append([Path("a.py")])
        return len(started) == 2

    assert stage.until(step) == 0
    assert stage.heard.of("reloading") == ["a.py changed: starting anew"] * 2
    assert stage.heard.of("worker_died") == []


def test_one_that_is_not_ready_yet_is_not_interrupted_in_an_import(run: RunDirectory, tmp_path: Path) -> None:
    """An interrupt there would print a traceback, which says nothing to whoever pressed Ctrl-C."""
    began = tmp_path / "began"
    code = (
        f"import pathlib, sys; pathlib.Path({str(began)!r}).touch(); sys.stdin.buffer.read(); sys.stdin.buffer.read()"
    )
    stage = Stage(run, [code])
    (seat,) = stage.seats
    worker = seat.start(stage.spec, time.monotonic())
    while not began.exists():
        time.sleep(0.01)
    seat.signal(signal.SIGINT)
    assert worker.process.wait(10) == -signal.SIGTERM
    worker.reap()
    seat.close()


TOLD = (
    "import json, os, sys; spec = json.loads(os.read(0, 65536)); os.write(spec['status'], b'+');"
    "sys.exit(0 if os.read(0, 64) in (b'h', b'') else 5)"
)


def hang_up() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)


def test_a_successor_takes_calls_before_its_predecessor_is_told_to_leave(run: RunDirectory) -> None:
    stage = Stage(run, [TOLD, TOLD])
    before: list[Any] = []

    def step() -> bool:
        if not before and all(seat.ready for seat in stage.seats):
            before.extend(seat.worker for seat in stage.seats)
            hang_up()
        now = {seat.worker for seat in stage.seats}
        return bool(before and stage.heard.of("restarted") and not now & set(before) and not stage.leaving())

    assert stage.until(step) == 0
    assert stage.heard.of("worker_died") == []
    assert [worker.process.returncode for worker in before] == [0, 0]
    status = read_status(run.path)
    assert status is not None
    assert (status.ready, status.whole) == (2, True)


def test_a_successor_that_does_not_start_leaves_the_worker_where_it_is(run: RunDirectory) -> None:
    stage = Stage(run, [TOLD, TOLD])
    workers: list[Any] = []

    def step() -> bool:
        if not workers and all(seat.ready for seat in stage.seats):
            workers.extend(seat.worker for seat in stage.seats)
            stage.seats[0]._command = (sys.executable, "-S", "-E", "-c", REFUSE)
            hang_up()
        return bool(stage.heard.of("restart_failed"))

    assert stage.until(step) == 0
    (told,) = stage.heard.of("restart_failed")
    assert told.startswith("the new worker 0 ended with exit code 78; those before it go on")
    assert not stage.heard.of("restarted")
    assert not stage.heard.of("worker_died")


def test_a_worker_that_dies_while_its_successor_starts_is_followed_by_that(run: RunDirectory, tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n" + STAY
    stage = Stage(run, [TOLD])
    (seat,) = stage.seats
    seen: list[Any] = []

    def step() -> bool:
        if not seen and seat.ready:
            seen.append(seat.worker)
            seat._command = (sys.executable, "-S", "-E", "-c", late)
            hang_up()
        elif len(seen) == 1 and seat.successor is not None:
            seen.append(seat.successor)
            seen[0].signal(signal.SIGKILL)
        elif len(seen) == 2 and seat.worker is seen[1]:
            go.touch()
        return len(seen) == 2 and seat.ready and seat.worker is seen[1]

    assert stage.until(step) == 0
    assert stage.heard.of("worker_died") == []


def test_one_that_does_not_leave_is_killed_and_the_next_restart_waits_for_it(run: RunDirectory) -> None:
    deaf = READY + "time.sleep(60)"
    stage = Stage(run, [deaf])
    hung_up = []

    def step() -> bool:
        if len(hung_up) < 2 and len(stage.heard.of("restarted")) == len(hung_up) and stage.seats[0].ready:
            hung_up.append(1)
            hang_up()
        return len(stage.heard.of("restarted")) == 2

    assert stage.until(step) == 0
    assert "worker 0 did not end in time, and is killed" in stage.heard.of("worker_killed")


def test_readiness_waits_until_all_workers_have_started_once(run: RunDirectory, tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n" + STAY
    stage = Stage(run, [STAY, late])
    seen: list[tuple[int, bool]] = []

    def step() -> bool:
        status = read_status(run.path)
        if status is not None and (not seen or seen[-1] != (status.ready, status.whole)):
            seen.append((status.ready, status.whole))
        if status is not None and status.ready == 1:
            go.touch()
        return bool(seen) and seen[-1] == (2, True)

    assert stage.until(step) == 0
    assert seen[-2:] == [(1, False), (2, True)]
    assert not any(whole for ready, whole in seen if ready < 2)


def test_sighup_of_a_terminal_that_has_gone_ends_the_service(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "gone", True)
    stage = Stage(run, [STAY])
    watcher = threading.Thread(target=lambda: (wait_until(lambda: stage.seats[0].ready), hang_up()))
    watcher.start()
    assert stage.supervisor.run() == 0
    watcher.join()
    assert not stage.heard.of("restarting")


def wait_until(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
