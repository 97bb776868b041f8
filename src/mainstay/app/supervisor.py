"""The supervisor: starts the workers, fills the seats of those that die, passes signals on, and leaves nobody behind.

Workers are fresh interpreters: nothing is forked after threads or an event loop began. Each has a listening socket of
its own, kept here; and each holds the end of a pipe whose other end is here, so that a supervisor that is killed takes
its workers along. SIGHUP starts them anew without a gap: the successor of each takes calls from the same socket before
its predecessor leaves, and where it refuses to start that one stays.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from mainstay.app.rolling import START_SECONDS, Rolling
from mainstay.app.rundir import RunDirectory
from mainstay.app.seat import FAILING, MAKE_ROOM, REFUSED, Seat, Spec, Status, Worker, describe_end, write_status
from mainstay.app.sockets import rejoin
from mainstay.app.terminal import Terminal
from mainstay.ports.observer import Notice, Observer

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_GRACE = 2.0  # seconds beyond what a worker may take to drain
_LOOK = 0.3  # seconds between looks at the team's files

MakeSpec = Callable[[Seat, int], Spec]
Changes = Callable[[], Sequence[Path]]


class Supervisor:
    """Keeps ``seats`` filled until it is told to stop.

    ``changes`` returns the files that changed since it was last asked: then the workers are started anew. ``drain`` is
    how long a worker may take to end: (seconds before it stops to accept, seconds for calls in flight).
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        make: MakeSpec,
        run: RunDirectory,
        observer: Observer,
        *,
        drain: tuple[float, float],
        changes: Changes | None = None,
        chance: Callable[[], float],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._seats = tuple(seats)
        self._make = make
        self._run = run
        self._observer = observer
        self._drain = drain
        self._changes = changes
        self._chance = chance
        self._on_ready = on_ready
        self._addresses = [(seat.listening.family, seat.listening.getsockname()) for seat in self._seats]
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._reloading: set[int] = set()
        self._kill_at: float | None = None
        self._rolling = Rolling()
        self._terminal = Terminal()
        self._begun = False  # the first worker was ready once: from then on the others may start
        self._whole = False  # all of them were
        self._code = 0

    def run(self) -> int:
        """Supervise until stopped. Returns the exit code: 1 where the first worker refused to start."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        before = [(number, signal.signal(number, _ignore)) for number in _HANDLED]
        wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ)
        try:
            self._write_status()
            self._start(self._seats[0])
            while not (self._stopping and not any(seat.workers for seat in self._seats)):
                self._turn(reading)
            return self._code
        finally:
            self._end_all()
            signal.set_wakeup_fd(wakeup)
            for number, handler in before:
                signal.signal(number, handler)
            self._selector.close()
            reading.close()
            writing.close()

    def _turn(self, signals: socket.socket) -> None:
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is signals:
                for number in signals.recv(256):
                    self._signalled(number)
            else:
                self._told(*key.data)
        for seat in self._seats:
            for worker in seat.workers:
                code = self._reap(worker)
                if code is not None:
                    self._ended(seat, worker, code)
        self._do_due(time.monotonic())
        if not self._stopping and (followed := self._rolling.next()) is not None:
            self._start(followed)
        if self._changes is not None and not self._stopping:
            self._look(self._changes)

    def _do_due(self, now: float) -> None:
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._kill()
        for seat in self._seats:
            if seat.restart_at is not None and seat.restart_at <= now and not self._stopping:
                self._start(seat)
            if seat.steady_at is not None and seat.steady_at <= now:
                seat.failures = 0
                self._write_status()
            for worker in seat.workers:
                if worker.kill_at is not None and worker.kill_at <= now:
                    worker.kill_at = None
                    self._kill_one(seat, worker)

    def _patience(self) -> float | None:
        due = [seat.restart_at for seat in self._seats if seat.restart_at is not None]
        due += [seat.steady_at for seat in self._seats if seat.steady_at is not None]
        due += [self._kill_at] if self._kill_at is not None else []
        due += [one.kill_at for seat in self._seats for one in seat.workers if one.kill_at is not None]
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        return wait if self._changes is None else min(_LOOK, _LOOK if wait is None else wait)

    def _start(self, seat: Seat) -> None:
        now = time.monotonic()
        try:
            if seat.listening.fileno() < 0:
                family, address = self._addresses[seat.index]
                seat.listening = rejoin(family, address)
            worker = seat.start(self._make, now)
        except OSError as error:
            self._not_started(seat, now, error)
            return
        if worker is seat.successor:
            worker.kill_at = now + START_SECONDS
        self._selector.register(worker.status, selectors.EVENT_READ, (seat, worker))

    def _not_started(self, seat: Seat, now: float, error: OSError) -> None:
        text = f"worker {seat.index} cannot start: {error}"
        if seat.worker is not None:
            self._rolling.give_up()
            self._notice("error", "restart_failed", f"{text}; the workers before it go on")
        else:
            delay = seat.failed(now, now, self._chance())
            self._notice("error", "worker_not_started", text, retry_in=delay)

    def _told(self, seat: Seat, worker: Worker) -> None:
        """A worker said that it is ready, or its pipe ended."""
        if worker.status.closed:
            return
        if not worker.status.read(64):
            self._selector.unregister(worker.status)
            return
        worker.ready = True
        if worker is seat.successor:
            self._followed(seat, worker)
        self._whole = self._whole or all(one.ready for one in self._seats)
        self._write_status()
        if not self._begun:
            self._begun = True
            for other in self._seats[1:]:
                self._start(other)
        if all(one.ready for one in self._seats):
            self._on_ready()

    def _followed(self, seat: Seat, worker: Worker) -> None:
        """A successor takes calls: its predecessor leaves, and the next seat is followed."""
        worker.kill_at = None
        seat.failures = 0
        seat.succeed(time.monotonic() + self._drain[1] + _GRACE)
        if self._rolling.followed(seat):
            self._notice("info", "restarted", "every worker has been followed by a new one")

    def _reap(self, worker: Worker) -> int | None:
        if worker.process.poll() is None:
            return None
        if worker.status in self._selector.get_map():
            self._selector.unregister(worker.status)
        return worker.reap()

    def _ended(self, seat: Seat, worker: Worker, code: int) -> None:
        serving, following = worker is seat.worker, worker is seat.successor
        seat.lose(worker)
        if self._stopping:
            return
        if following:
            self._rolling.give_up()
            text = f"the new worker {seat.index} {describe_end(code)}; those before it go on: mend it, then send SIGHUP"
            self._notice("error", "restart_failed", text)
        elif serving and seat.worker is None:
            self._lost(seat, worker, code)
        elif serving:
            self._rolling.followed(seat)  # its successor is its worker, ready or not
        self._write_status()

    def _lost(self, seat: Seat, worker: Worker, code: int) -> None:
        """A seat is empty: fill it again, or say why not."""
        if seat.index in self._reloading:
            self._reloading.discard(seat.index)
            seat.restart_at = time.monotonic()
        elif code == REFUSED and self._changes is not None:
            self._notice("info", "waiting", "waiting for the code to be mended")
        elif code == REFUSED and not self._begun:
            self._code = 1
            self._stop(signal.SIGTERM)
        else:
            delay = seat.failed(worker.begun, time.monotonic(), self._chance())
            if delay >= 1 and not seat.kept and sum(one.listening.fileno() >= 0 for one in self._seats) > 1:
                seat.listening.close()  # new connections go to the others meanwhile
            text = f"worker {seat.index} {describe_end(code)}; starting it again in {delay:.1f} s"
            self._notice("error", "worker_died", text, failures=seat.failures)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return  # the processes are looked at in every turn
        if self._stopping:
            self._kill()
        elif number == signal.SIGHUP and not self._terminal.gone:
            self._notice("info", "restarting", "each worker is followed by a new one, of the code and settings of now")
            self._rolling.begin(self._seats)
        else:
            self._stop(number)

    def _stop(self, number: int) -> None:
        """Tell all workers to end: at once by SIGINT, after a time of refusing readiness by SIGTERM.

        The sockets are closed here: each listens for as long as its worker keeps it, and not a moment longer, so that
        no connection is taken in that nobody would answer.
        """
        self._stopping = True
        passed = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        delay, seconds = self._drain
        self._kill_at = time.monotonic() + (0.0 if passed == signal.SIGINT else delay) + seconds + _GRACE
        for seat in self._seats:
            seat.restart_at = None
            seat.close()
            seat.signal(passed)

    def _kill(self) -> None:
        for seat in self._seats:
            if self._stopping or seat.index in self._reloading:
                for worker in seat.workers:
                    self._kill_one(seat, worker)

    def _kill_one(self, seat: Seat, worker: Worker) -> None:
        why = "did not start in time" if worker is seat.successor and not self._stopping else "did not end in time"
        self._notice("warning", "worker_killed", f"worker {seat.index} {why}, and is killed")
        worker.signal(signal.SIGKILL)

    def _look(self, changes: Changes) -> None:
        changed = changes()
        if not changed:
            return
        names = ", ".join(sorted({path.name for path in changed})[:3])
        self._notice("info", "reloading", f"{names} changed: starting anew")
        for seat in self._seats:
            seat.failures = 0
            if seat.worker is None:
                seat.restart_at = time.monotonic()
            elif seat.index not in self._reloading:
                self._reloading.add(seat.index)
                seat.worker.tell(MAKE_ROOM)
                seat.signal(signal.SIGINT)
                self._kill_at = time.monotonic() + self._drain[1] + _GRACE

    def _end_all(self) -> None:
        """Whatever happened: no worker outlives this."""
        for seat in self._seats:
            seat.signal(signal.SIGKILL)
            for worker in seat.workers:
                worker.process.wait()
                worker.reap()
                seat.lose(worker)
            seat.close()

    def _write_status(self) -> None:
        failing = [seat.index for seat in self._seats if seat.failures >= FAILING]
        ready = sum(seat.ready for seat in self._seats)
        write_status(self._run.path, Status(len(self._seats), ready, failing, whole=self._whole))

    def _notice(self, level: str, event: str, text: str, **facts: object) -> None:
        self._observer.observe(Notice(level, event, text, dict(facts)))


def _ignore(number: int, frame: FrameType | None) -> None:
    """Take the signal; its number comes through the wake-up descriptor."""
