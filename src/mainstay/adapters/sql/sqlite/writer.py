"""Groups of turns on the one writing connection: the loop's half.

The connection is handed to and fro. It is the loop's while ``_group`` is set (the phase OPEN), and the thread's
otherwise. Statements run only in the turn that is ``active``; there is an active turn only in an open group, and a
group is closed only when no turn is active. So a statement never meets a BEGIN or a COMMIT, and turns never interleave.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from time import monotonic
from typing import Any, Final, NoReturn

import apsw

from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.sqlite import connection as sql
from mainstay.adapters.sql.sqlite.errors import (
    FileMoved,
    TurnTooLong,
    WriterBusy,
    commit_unknown,
    held_elsewhere,
    rolled_back,
    stopped,
    stopping,
    translate,
)
from mainstay.adapters.sql.sqlite.group import Failure, Group
from mainstay.adapters.sql.sqlite.locks import FileTurn
from mainstay.adapters.sql.sqlite.options import Options, Statistics
from mainstay.adapters.sql.sqlite.thread import Listener, Outcome, WriterThread
from mainstay.adapters.sql.sqlite.turn import Turn
from mainstay.adapters.sql.sqlite.waiting import TurnToCome
from mainstay.adapters.sql.sqlite.watchdog import Watchdog
from mainstay.model.problem import NotCommitted

_Waiting = tuple[asyncio.Task[Any] | None, float]  # the owner of the turn to come, and when the call came
_TROUBLE_SECONDS: Final = 10.0  # that a failed BEGIN or COMMIT counts against health: it may be over unnoticed


class Phase(Enum):
    """Who has the connection."""

    IDLE = "idle"  # nobody: no transaction
    OPENING = "opening"  # the thread: waiting for the file, then BEGIN IMMEDIATE
    OPEN = "open"  # the loop
    CLOSING = "closing"  # the thread: COMMIT


class GroupWriter:
    """Gives turns in order of arrival, gathers them in groups and answers each call when its group is durable."""

    def __init__(
        self,
        options: Options,
        connection: apsw.Connection,
        statistics: Statistics,
        bound_log: Callable[[apsw.Connection], None],
    ) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.active: Turn | None = None
        self.failure: str | None = None  # for good: writes have stopped until the process is started again
        self.phase = Phase.IDLE
        self._options = options
        self._statistics = statistics
        self._queue: OrderedDict[asyncio.Future[Turn], _Waiting] = OrderedDict()
        self._opening_since = 0.0
        self._closed_at = 0.0  # when the last group was closed
        self._group: Group | None = None
        self._closing: Group | None = None
        self._trouble = ""
        self._trouble_until = 0.0
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.get_running_loop()
        self._file_turn = FileTurn(options.path.with_name(options.path.name + "-turns"))
        listener = Listener(self._opened, self._settled, self._wanted, self._broken)
        self._thread = WriterThread(connection, self._file_turn, self._loop, listener, bound_log)
        self._turn_watch = Watchdog(options.turn_seconds, self._turn_overdue)
        self._open_watch = Watchdog(options.busy_seconds, self._opening_overdue)
        sql.guard(connection, lambda: self._group is None)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def delay(self) -> float:
        """How long the first in the queue has waited, in seconds, where a group has ended without it; else 0."""
        since = next(iter(self._queue.values()))[1] if self._queue else self._closed_at
        return monotonic() - since if since < self._closed_at else 0.0

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    async def stop(self) -> bool:
        """Refuse waiting calls, roll back an open turn, commit the open group, end the thread.

        Returns False when the thread still waits for a file that another process holds.
        """
        self._stopping = True
        self._refuse_waiting(stopping)
        if self.active is not None:
            self.active.abandon()
        if self._group is not None:
            self._close(self._group)
        try:
            await asyncio.wait_for(self._idle.wait(), self._options.busy_seconds)
        except TimeoutError:
            return False
        finally:
            self._turn_watch.cancel()
            self._open_watch.cancel()
        ended = await asyncio.to_thread(self._thread.stop, self._options.busy_seconds)
        if ended:
            self._file_turn.close()
        return ended

    def turn(self, owner: asyncio.Task[Any] | None = None, patience: float | None = None) -> Turn | Awaitable[Turn]:
        """Return the turn at once where it is free in an open group, else an awaitable that gives it in order.

        A turn is rolled back when its ``owner`` is done. ``patience`` is how many seconds the wait may take: the
        awaitable raises ``DeadlineExceeded`` after them. Raises :class:`WriterBusy` when too many wait, and
        :class:`WritesStopped` after a commit whose outcome is not known.
        """
        group = self._group
        if group is not None and self.active is None and not self._queue and self._admits(group):
            return self._enter(group, owner)
        self._check_open()
        return TurnToCome(self, owner, patience)

    def leave(self, turn: Turn, *, keep: bool) -> asyncio.Future[None]:
        """End the active turn and return a future of its group's end."""
        group = self._group
        assert group is not None  # a turn is active in an open group only
        refusal: Exception | None = None
        try:
            if keep and self.connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
                refusal, keep = ConstraintFailed("foreign_key", "", (), "deferred"), False
            if not keep:
                self.cursor.execute(sql.ROLLBACK_TO)
                self._statistics.rolled_back += 1
            self.cursor.execute(sql.RELEASE)
        except BaseException as error:
            raise self._spoiled() from error
        turn.close(None)
        self._pass_on()
        return group.end(refusal)

    def forsake(self, turn: Turn, reason: Exception | None = None) -> None:
        """Roll the active turn back alone and pass the turn on; nobody waits for the group on its account."""
        try:
            self.cursor.execute(sql.ROLLBACK_TO)
            self.cursor.execute(sql.RELEASE)
        except apsw.Error:
            self._spoiled()
            return
        self._statistics.rolled_back += 1
        turn.close(reason)
        self._pass_on()

    def fail(self, error: BaseException) -> NoReturn:
        """Raise what a failed statement raises, having ended the group if SQLite ended its transaction."""
        if self.connection.in_transaction:
            reason = translate(error)
            if reason is error:
                raise error
            raise reason from error
        self._lose(error)
        raise rolled_back() from error

    def health(self) -> str | None:
        """Return why writes fail, or None."""
        if self.failure is None and monotonic() < self._trouble_until:
            return self._trouble
        return self.failure

    def _note_trouble(self, text: str) -> None:
        self._trouble = text
        self._trouble_until = monotonic() + _TROUBLE_SECONDS

    def _check_open(self) -> None:
        if self._stopping:
            raise stopping()
        if self.failure is not None:
            raise stopped()
        if len(self._queue) >= self._options.queue_limit:
            raise WriterBusy(retry_after=1)

    def enqueue(self, owner: asyncio.Task[Any] | None) -> asyncio.Future[Turn]:
        """Put a call into the queue and return the future of its turn. Raises as ``turn`` does."""
        self._check_open()  # again: much may have happened before the caller awaits
        future: asyncio.Future[Turn] = self._loop.create_future()
        self._queue[future] = owner, monotonic()
        self._statistics.turn_waits += 1
        if self.phase is Phase.IDLE:
            self._open()
        return future

    def withdraw(self, future: asyncio.Future[Turn]) -> None:
        """Take a call out of the queue; a turn that it was given in the same tick is abandoned."""
        self._queue.pop(future, None)
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().abandon()

    def _admits(self, group: Group) -> bool:
        return group.left > 0 and monotonic() < group.until

    def _enter(self, group: Group, owner: asyncio.Task[Any] | None) -> Turn:
        group.left -= 1
        try:
            self.cursor.execute(sql.SAVEPOINT)
        except BaseException as error:
            self.fail(error)
        turn = Turn(self, group, owner)
        self.active = turn
        self._turn_watch.begin()
        self._statistics.calls += 1
        return turn

    def _pass_on(self) -> None:
        """Give the free turn to the next in order, or end the group: by time, by count, or when no one waits."""
        self.active = None
        self._turn_watch.end()
        self._advance()

    def _advance(self) -> None:
        group = self._group
        while group is not None and self._queue and self._admits(group):
            future, (owner, _) = self._queue.popitem(last=False)
            if future.done():
                continue
            try:
                turn = self._enter(group, owner)
            except Exception as error:
                future.set_exception(error)
                group = self._group  # None if the error ended it
                continue
            future.set_result(turn)
            return
        if group is None:
            return
        if self._queue or not self._admits(group):
            self._close(group)
        elif not group.idle_check:  # calls that the loop is about to run may still join
            group.idle_check = True
            self._loop.call_soon(self._close_if_idle, group)

    def _close_if_idle(self, group: Group) -> None:
        group.idle_check = False
        if self._group is group and self.active is None:
            self._close(group)

    def _open(self) -> None:
        self.phase = Phase.OPENING
        self._idle.clear()
        self._watch_opening()
        self._thread.open_group()

    def _watch_opening(self) -> None:
        self._opening_since = monotonic()
        self._open_watch.begin()

    def _close(self, group: Group) -> None:
        self._group, self._closing = None, group
        self._closed_at = monotonic()
        self.phase = Phase.CLOSING
        self._thread.close_group()

    def _spoiled(self) -> NotCommitted:
        """Roll the whole group back after a savepoint failed to end: what it holds is not known any more."""
        self._group, group = None, self._group
        if self.connection.in_transaction:
            try:
                self.cursor.execute(sql.ROLLBACK_GROUP)
            except apsw.Error as error:
                self.failure = f"a roll-back failed: {error}"
        self._group = group
        self._lose()
        return rolled_back()

    def _lose(self, error: BaseException | None = None) -> None:
        """End the group whose transaction is gone: every call of it fails, none is acknowledged."""
        failure = partial(rolled_back, error)
        if error is not None:
            self._note_trouble(f"a transaction was rolled back: {error}")
        group, self._group = self._group, None
        turn, self.active = self.active, None
        self._turn_watch.end()
        self._statistics.lost += 1
        if turn is not None:
            turn.close(failure())
        if group is not None:
            group.settle(failure)
            self.phase = Phase.CLOSING
            self._thread.drop_group()

    def _wanted(self) -> bool:
        return bool(self._queue)

    def _opened(self, fault: BaseException | None) -> None:
        if isinstance(fault, apsw.BusyError) and self._queue:
            self._thread.open_group()  # again, until it works or each call has waited as long as it may
            return
        self._open_watch.end()
        if isinstance(fault, apsw.BusyError):
            self._rest()
            return
        if fault is not None:
            self._note_trouble(f"a transaction could not be begun: {fault}")
            self._refuse_waiting(stopped)
            self._rest()
            return
        self.phase = Phase.OPEN
        self._statistics.groups += 1
        self._group = Group(self._options.group_calls, monotonic() + self._options.group_seconds)
        self._advance()

    def _settled(self, outcome: Outcome, again: bool) -> None:
        group, self._closing = self._closing, None
        if outcome.fault is None:
            if group is not None:
                self._statistics.commits += 1
                self._trouble_until = 0.0
                group.settle(None)
        elif group is not None:
            self._statistics.lost += 1
            group.settle(partial(rolled_back if outcome.known else commit_unknown, outcome.fault))
            if isinstance(outcome.fault, FileMoved):
                self.failure = f"{outcome.fault}: put it back and start the service again"
                self._refuse_waiting(stopped)
            elif outcome.known:
                self._note_trouble(f"a commit was rolled back: {outcome.fault}")
            else:
                self.failure = f"a commit failed: {outcome.fault}"
                self._refuse_waiting(stopped)
        if again:
            self.phase = Phase.OPENING
            self._watch_opening()
        else:
            self._rest()

    def _broken(self, error: BaseException) -> None:
        self.failure = f"the writer thread ended: {error!r}"
        if self._closing is not None:
            self._closing.settle(partial(commit_unknown, error))
            self._closing = None
        self._refuse_waiting(stopped)
        self._rest()

    def _rest(self) -> None:
        if self._queue:
            self._open()
        else:
            self.phase = Phase.IDLE
            self._idle.set()

    def _refuse_waiting(self, problem: Failure) -> None:
        queue, self._queue = self._queue, OrderedDict()
        for future in queue:
            if not future.done():
                future.set_exception(problem())

    def _turn_overdue(self) -> None:
        if self.active is not None:
            self._statistics.expired += 1
            self.forsake(self.active, TurnTooLong(retry_after=1))

    def _opening_overdue(self) -> None:
        """Refuse the calls that have waited for the file as long as they may."""
        now = since = monotonic()
        while self._queue:
            future = next(iter(self._queue))
            since = max(self._queue[future][1], self._opening_since)
            if since + self._options.busy_seconds > now:
                break
            del self._queue[future]
            if not future.done():
                future.set_exception(held_elsewhere())
            since = now
        self._open_watch.begin(since)
