"""Direct runs: a message that a broker has just handed over runs before it is stored, where nothing stands in its way.

Its mark is added with its effect, in one transaction, in place of a row that is stored first and changed then. The
broker keeps it meanwhile: it is acknowledged once its row is there, be it done or put off. Of two deliveries at once
one can add the mark; the other is undone with all that it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from msgspec.structs import replace

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.calling import Dispatch, deliver
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.fates import after_failure, rest, tell
from mainstay.kernel.flow.queues import ConsumerQueue, lane_name
from mainstay.kernel.flow.records import InboxMessage
from mainstay.model.problem import Problem, SerializationConflict, UniqueConflict

SPARE = timedelta(minutes=2)
"""Beside a consumer's deadline, for its commit, for what follows a failure, and for clocks."""

ATTEMPTS = 5

Ended = Callable[[InboxMessage, bool], None]
"""Told of a message that ran, and whether its row is there now."""


class DirectRuns:
    """Begins messages that are not stored. ``fresh`` is for how long nothing of one is forgotten at the least.

    ``is_open`` says whether anything may be begun for a consumer, and ``freed`` is told that it may take another.
    """

    def __init__(
        self,
        ports: Ports,
        queues: Mapping[str, ConsumerQueue],
        dispatch: Dispatch,
        counters: FlowCounters,
        fresh: timedelta,
        is_open: Callable[[ConsumerQueue], bool],
        freed: Callable[[ConsumerQueue], None],
    ) -> None:
        self._ports = ports
        self._queues = queues
        self._dispatch = dispatch
        self._counters = counters
        self._is_open = is_open
        self._freed = freed
        # A store of few writes a command has none to spare for a whole row in place of a change.
        spares = ports.store.capabilities.max_writes is None
        least = {name: timedelta(seconds=one.consumer.deadline) + SPARE for name, one in queues.items()}
        self._fit = {name for name, one in queues.items() if spares and one.consumer.direct and least[name] <= fresh}

    def may_begin(self, consumers: Collection[str]) -> bool:
        """Whether a message without a key may run now at all of these, with nothing of a consumer's before it."""
        return all(map(self._may_begin, consumers))

    def _may_begin(self, consumer: str) -> bool:
        if consumer not in self._fit:
            return False
        queue = self._queues[consumer]
        return queue.is_idle and self._is_open(queue)

    def begin(self, rows: Sequence[InboxMessage], ended: Ended) -> None:
        """Run the rows of one message, each beside what its consumer runs already."""
        for row in rows:
            queue = self._queues[row.consumer]
            queue.add(row)
            task = asyncio.create_task(self._run(queue, row, ended), name=f"mainstay-{queue.name}")
            queue.tasks[lane_name(row)] = task
            self._counters.of(queue.name).running = len(queue.tasks)

    async def _run(self, queue: ConsumerQueue, row: InboxMessage, ended: Ended) -> None:
        kept = False
        try:
            await self._do(queue, row)
            kept = True
        except Exception as error:
            rest(queue, error, self._ports)
        finally:
            lane = lane_name(row)
            del queue.tasks[lane]
            queue.drop(lane)
            ended(row, kept)
            self._freed(queue)

    async def _do(self, queue: ConsumerQueue, row: InboxMessage) -> None:
        """Have a message done, or store it as what it is after its failure. Raises where it can be neither."""
        outcome = await deliver(row, queue.consumer, self._dispatch)
        if not isinstance(outcome, Problem):
            self._counters.of(queue.name).done += 1
            return
        changes = after_failure(row, outcome, queue.consumer, self._ports)
        if await self._store(replace(row, version=1, **changes)):
            self._counters.of(queue.name).failed += 1
            tell(row, changes, self._counters, self._ports)

    async def _store(self, row: InboxMessage) -> bool:
        """Store a message that failed. Returns False where it is there already, so that it failed for that, perhaps."""
        attempt = 0
        while True:
            attempt += 1
            transaction = self._ports.store.begin(write=True)
            try:
                transaction.rows(InboxMessage).insert([row])
                await transaction.commit()
            except UniqueConflict:
                await transaction.rollback()
                return False
            except SerializationConflict:
                await transaction.rollback()
                if attempt == ATTEMPTS:
                    raise
            except BaseException:
                await transaction.rollback()
                raise
            else:
                return True
