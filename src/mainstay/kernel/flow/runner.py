"""The runner: works off the inbox of the partitions that this replica holds, each consumer's messages side by side.

One key's messages run one at a time, in their order. What fails is tried again with growing pauses, alone: it holds up
its key and nothing else. Every change beside a consumer's own is made under the fence of the partition and on the
message as it was read; a consumer's own effect is one since its message steps from pending to done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.flow.calling import Dispatch, deliver
from mainstay.kernel.flow.consumers import Consumers
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.direct import DirectRuns
from mainstay.kernel.flow.fates import after_failure, rest, tell
from mainstay.kernel.flow.inbox import stepped
from mainstay.kernel.flow.judging import PARKED, Judge, Verdict, put_off
from mainstay.kernel.flow.places import PARTITIONS, inbox_spans, turned
from mainstay.kernel.flow.queues import BATCH, CROWD, ConsumerQueue, lane_name
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.kernel.flow.shares import RACES, LeaseLost, Shares
from mainstay.kernel.flow.sweeping import Sweep
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import Problem
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction

LOOK_SECONDS = 1.0
"""How often all consumers' queues are looked at, though nobody said that there is something in them."""

LEAST_SECONDS = 0.1
"""How soon after such a look the next one is at the earliest, and one for messages whose pause has ended while others
are offered."""


class Runner:
    """Runs consumers. A step reads in what may run and starts it; it does not wait for it to end."""

    def __init__(
        self,
        ports: Ports,
        consumers: Mapping[str, Sequence[BoundOperation]],
        dispatch: Dispatch,
        shares: Shares,
        known: Consumers,
        counters: FlowCounters,
        *,
        shuffled: bool,
        fresh: timedelta = timedelta(),
    ) -> None:
        self._ports = ports
        self._dispatch = dispatch
        self._shares = shares
        self._known = known
        self._counters = counters
        self._judge = Judge(known, shuffled=shuffled)
        self._queues = {each.name: ConsumerQueue(each) for group in consumers.values() for each in group}
        self._sweeps = {name: Sweep(queue) for name, queue in self._queues.items()}
        self._looked = self._look_at = ports.clock.monotonic()
        self._read_at = self._looked  # for those whose pause has ended, beside what is offered
        self._first = 0  # the partition to begin with
        self._stopping = False
        self._woken: Callable[[], None] = _nobody
        shares.drained_by(self.is_busy)
        self.direct: DirectRuns = DirectRuns(ports, self._queues, dispatch, counters, fresh, self._is_open, self._freed)

    def listen(self, woken: Callable[[], None]) -> None:
        """Be told when there is room for more."""
        self._woken = woken

    def look(self, consumers: Collection[str] | None = None) -> None:
        """Say that consumers have got messages; None: nobody knows which."""
        if consumers is None:
            self._look_at = min(self._look_at, self._looked + LEAST_SECONDS)
            return
        for name in consumers:
            if name in self._queues:
                self._queues[name].look = True

    def offer(self, rows: Iterable[InboxMessage]) -> None:
        """Take messages that were stored just now, without another look where nothing else is to be known of them.

        Those that have an order are judged by what is stored, and so are read.
        """
        for row in rows:
            queue = self._queues.get(row.consumer)
            if queue is None or queue.has(row.id) or row.state is not State.PENDING:
                continue
            if row.step is None and not queue.look and queue.room and self._shares.holds(row.partition):
                queue.add(row)
            else:
                queue.look = True

    def look_everywhere(self) -> None:
        """Say that there may be messages for anybody: partitions have been taken."""
        self.look(self._queues)

    def is_busy(self, partition: int) -> bool:
        """Whether a message of a partition runs just now."""
        return any(row.partition == partition for queue in self._queues.values() for row in queue.running())

    async def step(self) -> bool:
        """Read in what may run, and start it. Returns whether there may be more to start at once."""
        await self._known.refresh()
        held = self._shares.held
        if self._ports.clock.monotonic() >= self._look_at:
            self._looked = self._ports.clock.monotonic()
            self._look_at = self._looked + LOOK_SECONDS
            self.look_everywhere()
        for queue in self._queues.values():
            paused = self._known.paused(queue.name)
            self._counters.of(queue.name).paused = paused
            queue.keep(lambda row, paused=paused: not paused and row.partition in held)  # type: ignore[misc]
        offered = [self._start(queue) for queue in self._queues.values()]  # they wait for no read
        if any(offered) and not self._is_read_due():
            return False
        more = bool(held) and await self._read([q for q in self._queues.values() if self._is_open(q)], held)
        started = [self._start(queue) for queue in self._queues.values()]
        return more or any(started)

    def _is_read_due(self) -> bool:
        """Whether messages wait to be read, or it is time to look for those whose pause has ended."""
        due = self._ports.clock.monotonic() >= self._read_at
        return due or any(queue.asks for queue in self._queues.values())

    def _is_open(self, queue: ConsumerQueue) -> bool:
        """Whether messages of a consumer may be begun."""
        closed = self._stopping or self._known.paused(queue.name)
        return not closed and self._ports.clock.monotonic() >= queue.rests_until

    async def _read(self, queues: Sequence[ConsumerQueue], held: Mapping[int, int]) -> bool:
        """Read messages in; put those that may not run where they are in nobody's way. Returns whether to go on."""
        if not queues or self._stopping:
            return False
        now, blocked, count = self._ports.clock.now(), False, 0
        self._read_at = self._ports.clock.monotonic() + LEAST_SECONDS
        asking = [queue for queue in queues if queue.asks]
        for queue in queues:
            queue.begin_look()
        for queue in asking:  # before the snapshot: what is stored from now on is told of anew
            queue.look = False
        transaction = self._ports.store.begin(write=False, latest=True)
        try:
            found = await self._delayed(transaction, [queue for queue in queues if queue.room], held)
            for queue in queues:
                rows = found.get(queue.name, [])
                rows += await self._beyond(transaction, queue, held)
                if queue in asking:  # last: what is behind one in memory is judged before that can end
                    rows += await self._ready(transaction, queue, held)
                rows = [row for row in {row.id: row for row in rows}.values() if not queue.has(row.id)]
                found[queue.name] = []
                for verdict in await self._judge.judge(transaction, queue, rows, now) if rows else ():
                    count += 1
                    if verdict.changes is not None:
                        found[queue.name].append(verdict.row)
                        blocked = True
                    else:
                        _add(queue, verdict)
        finally:
            await transaction.rollback()
        if blocked:
            await self._decide({self._queues[name]: rows for name, rows in found.items() if rows})
        return bool(count) or any(self._sweeps[queue.name].under_way for queue in queues)

    async def _ready(self, transaction: Transaction, queue: ConsumerQueue, held: Collection[int]) -> list[InboxMessage]:
        """Read the messages of a consumer that may run as far as is known, in the order in which they came."""
        limit = len(queue) + queue.room
        rows = transaction.rows(InboxMessage)
        found: list[InboxMessage] = []
        self._first = (self._first + 1) % PARTITIONS
        for span in turned(inbox_spans(queue.name, held), inbox_spans(queue.name, (self._first,))[0].first):
            within = Compare("place", "ge", span.first) & Compare("place", "lt", span.end)
            where = within & Compare("consumer", "eq", queue.name)
            query = Query(where=where, sort=(Sort("place"), Sort("id")), limit=limit - len(found))
            found += await rows.fetch(query)
            if len(found) == limit:
                break
        passed = set[str]()
        fit = queue.fitting(found, passed)
        queue.look = queue.look or len(found) == limit or bool(passed)
        queue.crowded = len(found) == limit and len(set(map(lane_name, found))) * CROWD <= limit
        return fit

    async def _beyond(
        self, transaction: Transaction, queue: ConsumerQueue, held: Collection[int]
    ) -> Sequence[InboxMessage]:
        """Read messages of a consumer that wait behind the many of one key."""
        now, sweep = self._ports.clock.monotonic(), self._sweeps[queue.name]
        return await sweep.stretch(transaction, held, now) if sweep.is_due(now) else ()

    async def _delayed(
        self, transaction: Transaction, queues: Sequence[ConsumerQueue], held: Collection[int]
    ) -> dict[str, list[InboxMessage]]:
        """Read the messages whose pause has ended, by consumer."""
        where: Condition = Compare("due_at", "le", self._ports.clock.now())
        where = where & Among("consumer", tuple(sorted(queue.name for queue in queues)))
        if len(held) < PARTITIONS:
            where = where & Among("partition", tuple(sorted(held)))
        query = Query(where=where, sort=(Sort("due_at"), Sort("id")), limit=BATCH)
        found: dict[str, list[InboxMessage]] = {}
        for row in await transaction.rows(InboxMessage).fetch(query):
            found.setdefault(row.consumer, []).append(row)
        return found

    async def _decide(self, blocked: Mapping[ConsumerQueue, Sequence[InboxMessage]]) -> None:
        """Judge messages again that may not run, and write down what follows, in one transaction."""
        now = self._ports.clock.now()
        decided: list[Verdict] = []

        async def write(transaction: Transaction) -> None:
            for queue, rows in blocked.items():
                verdicts = await self._judge.judge(transaction, queue, rows, now)
                decided.extend(verdict for verdict in verdicts if verdict.changes is not None)
            await self._put(transaction, decided)

        partitions = {row.partition for rows in blocked.values() for row in rows}
        if await self._fenced(partitions, write):
            for row, changes, _ in decided:
                tell(row, changes or {}, self._counters, self._ports)
        for queue in blocked:
            queue.look = True  # what may run by now has not been added

    async def _put(self, transaction: Transaction, decided: Sequence[Verdict]) -> None:
        """Change messages as it was decided, those that are put off alike in one go."""
        rows, alike = transaction.rows(InboxMessage), dict[Any, list[UUID]]()
        for row, changes, _ in decided:
            if changes is not None and changes.keys() == PARKED.keys():
                alike.setdefault(changes["due_at"], []).append(row.id)
            else:
                rows.enqueue(stepped(row, dict(changes or {}), self._ports))
        for due, ids in alike.items():
            await rows.apply(Change(where=_still_pending(ids), changes=dict(put_off(due))))

    async def _fenced(self, partitions: Collection[int], write: Callable[[Transaction], Awaitable[None]]) -> bool:
        """Write in a transaction in which partitions are held. Returns False where another was quicker."""
        transaction = self._ports.store.begin(write=True)
        try:
            await self._shares.check(transaction, partitions)
            await write(transaction)
            await transaction.commit()
        except (*RACES, LeaseLost):
            await transaction.rollback()
            self._counters.conflicts += 1
            return False
        except BaseException:
            await transaction.rollback()
            raise
        return True

    def _start(self, queue: ConsumerQueue) -> bool:
        """Start lanes that wait, as far as the consumer's concurrency goes."""
        started = False
        if not self._is_open(queue):
            return started
        most = queue.consumer.operation.concurrency
        for lane in queue.waiting() if len(queue.tasks) < most else ():
            if len(queue.tasks) >= most:
                break
            task = asyncio.create_task(self._run(queue, lane), name=f"mainstay-{queue.name}")
            queue.tasks[lane] = task
            started = True
        self._counters.of(queue.name).running = len(queue.tasks)
        return started

    async def _run(self, queue: ConsumerQueue, lane: str) -> None:
        """Run the messages of a lane, one after another, until it has had its turn."""
        done, turned = 0, False
        try:
            while (row := queue.head(lane)) is not None and self._may_run(queue, row):
                turned = queue.has_had_its_turn(done)
                if turned or not await self._do(queue, lane, row):
                    break
                done += 1
        except Exception as error:
            rest(queue, error, self._ports)
        finally:
            del queue.tasks[lane]
            if turned:
                queue.put_last(lane)
            else:
                queue.look = queue.look or queue.head(lane) is not None
                queue.drop(lane)
            self._freed(queue)

    def _freed(self, queue: ConsumerQueue) -> None:
        """Go on with what waits for a place of a consumer."""
        self._start(queue)
        if queue.asks:
            self._woken()

    def _may_run(self, queue: ConsumerQueue, row: InboxMessage) -> bool:
        return not self._stopping and not self._known.paused(queue.name) and self._shares.holds(row.partition)

    async def _do(self, queue: ConsumerQueue, lane: str, row: InboxMessage) -> bool:
        """Have a message done. Returns whether its lane goes on."""
        outcome = await deliver(row, queue.consumer, self._dispatch)
        if not isinstance(outcome, Problem):
            if outcome.replayed:  # it is not as it was read, or it is late: so is what is behind it, perhaps
                return False
            queue.pop(lane)
            self._counters.of(queue.name).done += 1
            return True
        self._counters.of(queue.name).failed += 1
        goes_on = await self._failed(queue, row, queue.behind(lane), outcome)
        if goes_on:
            queue.pop(lane)
        return goes_on

    async def _failed(
        self, queue: ConsumerQueue, row: InboxMessage, behind: Sequence[InboxMessage], problem: Problem
    ) -> bool:
        """Put a message off, or give it up, with those behind it that wait for it. Returns whether its lane goes on."""
        changes = after_failure(row, problem, queue.consumer, self._ports)
        given_up = changes.get("state") is State.DEAD
        waits = queue.ordered(row) and (queue.parks or not given_up)
        put = PARKED if given_up else put_off(changes["due_at"])

        async def write(transaction: Transaction) -> None:
            rows = transaction.rows(InboxMessage)
            rows.enqueue(stepped(row, changes, self._ports))
            if waits and behind:
                pending = _still_pending([each.id for each in behind])
                await rows.apply(Change(where=pending, changes=dict(put)))

        if not await self._fenced((row.partition,), write):
            return False
        tell(row, changes, self._counters, self._ports)
        return not waits

    def stop(self) -> None:
        """Begin nothing any more: what runs goes on to its end."""
        self._stopping = True

    async def settled(self, seconds: float | None = None) -> None:
        """Wait until nothing runs any more; what does after so many seconds is cancelled."""
        while tasks := {task for queue in self._queues.values() for task in queue.tasks.values()}:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def _add(queue: ConsumerQueue, verdict: Verdict) -> None:
    """Queue a message that may run, unless what it was judged by has changed meanwhile: then it is looked at again.

    What it was to run behind may have ended, perhaps to be put off; or a later one has begun.
    """
    if queue.has(verdict.row.id):
        return  # it was offered meanwhile
    if queue.is_passed(verdict.row) or not (verdict.behind is None or queue.has_step(verdict.behind)):
        queue.look = True
    else:
        queue.add(verdict.row)


def _still_pending(ids: Sequence[UUID]) -> Condition:
    return Among("id", tuple(ids)) & Compare("state", "eq", State.PENDING)


def _nobody() -> None:
    """Tell nobody."""
