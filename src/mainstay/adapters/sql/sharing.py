"""Commands that only add rows commit together, where more of them come than may be under way by themselves.

So do the effects of messages, which take a row of the inbox from pending to done beside.

They share one statement, and so one round trip and one flush of the server's log. A statement is carried out as a whole
or not at all: where a shared one fails, nothing of it is there, and each of its commands is carried out by itself, to
be told what is wrong with it alone. Only what nobody can know, a connection that was lost after the statement was sent,
is told to all that were in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from time import monotonic
from typing import Any, Generic

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.outages import ConnectionLost, PoolExhausted, commit_unknown, in_doubt
from mainstay.adapters.sql.pooling import L, Pool
from mainstay.adapters.sql.server_writing import Group, Merged, Writer
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.writes import Insert, Steps, Write
from mainstay.model.problem import DeadlineExceeded

LANES = 2
"""So many statements are under way at a time: one is prepared while the server flushes the other."""

LANES_OF_STEPS = 1
"""And so many with changes: PostgreSQL undoes one of two that change neighbours in an index at the same time."""

MOST_ROWS = 16
"""A command with more rows of one entity goes by itself."""

_FEW = 2
"""So many share a statement at least."""

BATCH_ROWS = 512
"""The rows of a statement, of all entities together."""

_BATCH_BYTES = 1 << 20  # of texts: a command with a long one must not delay the others
_COMMIT_SECONDS = 30.0


class _Turn(Enum):
    """What a command that has waited is told."""

    SHARED = "it was carried out with others"
    ALONE = "it is to be carried out by itself"
    LANE = "it is to be carried out by itself, in a lane that it has to give back"


class _Waiting:
    """A command in the queue."""

    __slots__ = ("bytes", "future", "group", "rows", "since")

    def __init__(self, group: Group, future: asyncio.Future[_Turn]) -> None:
        self.group = group
        self.future = future
        self.since = monotonic()
        rows = [row for one in group for row in (one.rows if isinstance(one, Insert) else (one.bindings,))]
        self.rows = len(rows)
        self.bytes = sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))


class Sharing(Generic[L]):
    """The commands of one process that may share statements.

    ``pool`` returns the connections for commands, ``writer`` what carries writes out on one within some seconds, and
    ``fits`` says which writes may go with others. ``lanes`` statements are under way at a time. A command waits for
    ``wait_seconds`` at most, beside ``queue_limit`` others. ``doubling``: the commands of a statement are a power of
    two, for servers whose statements differ by their number of rows.
    """

    def __init__(
        self,
        pool: Callable[[], Pool[L]],
        writer: Callable[[L, float], Writer[L]],
        fits: Callable[[Write], bool],
        *,
        queue_limit: int,
        wait_seconds: float,
        doubling: bool = False,
        lanes: int = LANES,
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._fits = fits
        self._doubling = doubling
        self._lanes = lanes
        self._queue_limit = queue_limit
        self._wait_seconds = wait_seconds
        self._queue: deque[_Waiting] = deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.shared: int = 0  # commands that were committed with others

    @property
    def delay(self) -> float:
        """For how many seconds the first in the queue has waited."""
        return monotonic() - self._queue[0].since if self._queue else 0.0

    async def commit(self, group: Group, alone: Callable[[], Awaitable[None]], patience: float | None) -> None:
        """Carry a group out that is a command by itself: with others, or by ``alone``.

        Raises what ``alone`` raises, ``CommitUnknown``, and ``DeadlineExceeded`` or ``PoolExhausted`` where no turn
        came within ``patience`` (seconds).
        """
        if not self._may_share(group):
            await alone()
            return
        turn = _Turn.LANE
        if self._under_way < self._lanes:
            self._under_way += 1
        else:
            turn = await self._wait(group, patience)
        if turn is _Turn.ALONE:
            await alone()
        elif turn is _Turn.LANE:
            try:
                await alone()
            finally:
                self._leave()

    def _may_share(self, group: Group) -> bool:
        """Whether a group may share a statement."""
        few = all(len(one.rows) <= MOST_ROWS for one in group if isinstance(one, Insert))
        return few and all(map(self._fits, group))

    async def _wait(self, group: Group, patience: float | None) -> _Turn:
        if len(self._queue) >= self._queue_limit:
            raise PoolExhausted(retry_after=1)
        loop = asyncio.get_running_loop()
        one = _Waiting(group, loop.create_future())
        self._queue.append(one)
        seconds = self._wait_seconds if patience is None else min(patience, self._wait_seconds)
        timer = loop.call_later(seconds, self._expire, one, patience is not None and patience <= seconds)
        try:
            return await one.future
        except asyncio.CancelledError:
            told = one.future
            if told.done() and not told.cancelled() and told.exception() is None and told.result() is _Turn.LANE:
                self._leave()  # it came in the moment of the cancellation
            raise
        finally:
            timer.cancel()

    def _expire(self, one: _Waiting, late: bool) -> None:
        """End the patience of a command: one that is under way with others is waited for."""
        if one in self._queue:
            self._queue.remove(one)
            problem = DeadlineExceeded("no connection was free in time") if late else None
            one.future.set_exception(problem or PoolExhausted(retry_after=1))

    def _leave(self) -> None:
        """Give a lane back, and begin what waits for one."""
        self._under_way -= 1
        while self._queue and self._under_way < self._lanes:
            batch = self._next_batch()
            if not batch:
                return
            self._under_way += 1
            if len(batch) == 1:
                batch[0].future.set_result(_Turn.LANE)
                continue
            task = asyncio.get_running_loop().create_task(self._carry_out(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next_batch(self) -> list[_Waiting]:
        """Take those that go together next out of the queue; whose caller has left is not carried out."""
        batch: list[_Waiting] = []
        rows = size = 0
        while self._queue:
            one = self._queue[0]
            if not one.future.done():
                rows, size = rows + one.rows, size + one.bytes
                if batch and (rows > BATCH_ROWS or size > _BATCH_BYTES):
                    break
                batch.append(one)
            self._queue.popleft()
        if self._doubling and batch:
            most = 1 << (len(batch).bit_length() - 1)
            self._queue.extendleft(reversed(batch[most:]))
            del batch[most:]
        return batch

    async def _carry_out(self, batch: Sequence[_Waiting]) -> None:
        """Carry out what some commands have queued, in as few statements as may be, and tell them."""
        parts = [batch]
        try:
            while parts:
                part = parts[-1]
                turn = _Turn.ALONE if len(part) < _FEW else await self._carry_out_part(part)
                parts.pop()
                if turn is _Turn.ALONE and len(part) >= 2 * _FEW:  # one spoils it: most can go with others still
                    parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                else:
                    _tell(part, turn)
        except BaseException as error:  # given up in the midst of it, at the end of the process
            for part in parts:
                _tell(part, error)
            raise
        finally:
            self._leave()

    async def _carry_out_part(self, part: Sequence[_Waiting]) -> _Turn | Exception:
        """Carry out a statement, and return what is to be told, or what leaves it in doubt."""
        try:
            done = await self._commit(merged([one.group for one in part]))
        except Exception as error:
            # Whatever it was, nothing was committed, unless that is in doubt: each hears of its own from its own turn.
            return error if in_doubt(error) else _Turn.ALONE
        self.shared += len(part) if done else 0
        return _Turn.SHARED if done else _Turn.ALONE

    async def _commit(self, group: Merged) -> bool:
        pool = self._pool()
        link = await pool.take()
        try:
            return await self._writer(link, _COMMIT_SECONDS).carry_out_merged(group)
        except (ConnectionLost, DeadlineExceeded) as error:
            if in_doubt(error):
                link.terminate()
            raise
        finally:
            pool.give(link)


def _tell(part: Sequence[_Waiting], turn: _Turn | BaseException) -> None:
    """Tell commands their turn, or what nobody knows of them and why."""
    for one in part:
        if one.future.done():  # its caller has left
            continue
        if isinstance(turn, _Turn):
            one.future.set_result(turn)
        else:
            one.future.set_exception(commit_unknown(turn))


def merged(groups: Sequence[Group]) -> Merged:
    """Return the writes of several commands as one group, in an order that does not depend on theirs."""
    rows: dict[Statements, list[Row]] = {}
    steps: dict[tuple[Statements, tuple[str, ...]], list[Sequence[Any]]] = {}
    for write in (write for group in groups for write in group):
        if isinstance(write, Insert):
            rows.setdefault(write.statements, []).extend(write.rows)
        else:
            steps.setdefault((write.statements, tuple(write.change.changes or ())), []).append(write.bindings)
    inserts = [Insert(statements, rows[statements]) for statements in sorted(rows, key=lambda one: one.name)]
    changed = sorted(steps, key=lambda one: (one[0].name, one[1]))
    return [*inserts, *(Steps(statements, names, steps[statements, names]) for statements, names in changed)]
