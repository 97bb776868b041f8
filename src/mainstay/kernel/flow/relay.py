"""The relay: committed events are delivered to their consumers, at least once, with one effect.

One replica at a time holds the lease and delivers; should two do so for a moment, the consumer's mark, committed with
its effect, keeps the effect one. A message leaves the outbox when every consumer has taken it. One that keeps failing
is tried again with growing pauses and in the end becomes a dead letter; messages of its key wait behind it until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.flow.lease import Lease
from mainstay.kernel.flow.outbox import decode_principal
from mainstay.kernel.flow.records import IdempotencyRecord, InboxMark, OutboxMessage
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import DeadlineExceeded, Problem
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction

Dispatch = Callable[[Call], Awaitable[Reply | Problem]]

BATCH = 64
POLL = 0.25  # seconds between looks at the outbox when nobody wakes the relay
BASE_DELAY = 0.5
MAX_DELAY = 300.0
DELAYED = 512  # messages that wait for another attempt, looked at at once
MARGIN = 0.05  # seconds beyond its deadline that a call is given to say so itself
HOUSEKEEPING = 60.0
INBOX_RETENTION = timedelta(days=7)


class RelayCounters(msgspec.Struct):
    """What the relay did, for metrics."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    pending: int = 0
    lag: float = 0.0  # seconds that the oldest pending message has waited
    leading: bool = False


class Relay:
    """Delivers what stands in the outbox of one service's database."""

    def __init__(
        self, ports: Ports, consumers: Mapping[str, Sequence[BoundOperation]], dispatch: Dispatch, holder: str
    ) -> None:
        self._ports = ports
        self._consumers = consumers
        self._dispatch = dispatch
        self._lease = Lease(ports, "relay", holder)
        self._wake = asyncio.Event()
        self._stopping = False
        self._cleaned = ports.clock.monotonic()
        self.counters: RelayCounters = RelayCounters()

    def wake(self) -> None:
        """Say that there is something to deliver."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the relay to end after the batch that it is at."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until stopped; the lease is given back at the end."""
        try:
            while not self._stopping:
                more = False
                try:
                    self.counters.leading = await self._lease.hold()
                    if self.counters.leading:
                        more = await self.deliver()
                        await self.housekeeping()
                except Exception as error:
                    # Whatever it was (a full disk, a locked file), what is stored is not lost: it is tried again.
                    more = False
                    notice = Notice("error", "relay_waits", "events cannot be delivered now; trying again", {}, error)
                    self._ports.observer.observe(notice)
                if not more and not self._stopping:
                    await self._pause()
        finally:
            await self._lease.release()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def deliver(self) -> bool:
        """Deliver one batch. Returns whether there may be more that is due."""
        waiting = await self._pending()
        now = self._ports.clock.now()
        self.counters.pending = len(waiting)
        self.counters.lag = max(0.0, (now - waiting[0].created_at).total_seconds()) if waiting else 0.0
        lanes: dict[object, list[OutboxMessage]] = {}
        taken: list[UUID] = []
        oldest = now - INBOX_RETENTION
        for message in waiting:
            if message.event in self._consumers or message.created_at <= oldest:
                lanes.setdefault(message.key or message.id, []).append(message)
            else:
                taken.append(message.id)
        try:
            ended = await asyncio.gather(
                *(self._deliver_lane(lane, taken) for lane in lanes.values()), return_exceptions=True
            )
        finally:
            await self._remove(taken)
        for one in ended:
            if one is not None:
                raise one
        return len(waiting) == BATCH

    async def _remove(self, taken: Sequence[UUID]) -> None:
        """Remove, all at once, what every consumer has taken: should that fail, it is delivered again, to no effect."""
        if taken:
            gone = Change(where=Among("id", tuple(taken)), changes=None)
            await self._write(lambda t: t.rows(OutboxMessage).enqueue(gone))
            self.counters.delivered += len(taken)

    async def _pending(self) -> list[OutboxMessage]:
        """Read what is due and no dead letter, in order of the ids, but not what waits behind a message of its key."""
        now = self._ports.clock.now()
        alive: Condition = Compare("dead", "eq", False)
        due, later = alive & Compare("due_at", "le", now), alive & Compare("due_at", "gt", now)
        by_id = (Sort("id"),)
        # A replica that is behind shows what was delivered since, and not what failed.
        transaction = self._ports.store.begin(write=False, latest=True)
        try:
            rows = transaction.rows(OutboxMessage)
            delayed = await rows.fetch(Query(where=later & ~Compare("key", "eq", None), sort=by_id, limit=DELAYED))
            held = {m.key for m in delayed}
            if held:
                due = due & ~Among("key", tuple(held))
            found = await rows.fetch(Query(where=due, sort=by_id, limit=BATCH))
            keys = {m.key for m in found} - {None}
            if keys and len(delayed) == DELAYED:  # there may be more: those of these keys are what matters
                delayed = await rows.fetch(Query(where=later & Among("key", tuple(keys)), sort=by_id, limit=DELAYED))
                held = {m.key for m in delayed}
            return [m for m in found if m.key not in held]
        finally:
            await transaction.rollback()

    async def _deliver_lane(self, lane: Sequence[OutboxMessage], taken: list[UUID]) -> None:
        for message in lane:
            if not await self._deliver_one(message, taken):
                return

    async def _deliver_one(self, message: OutboxMessage, taken: list[UUID]) -> bool:
        if message.created_at <= self._ports.clock.now() - INBOX_RETENTION:
            # Its marks may have been purged: a consumer that took it once would take it again.
            await self._bury(message, "too_old", message.attempts)
            return True
        for consumer in self._consumers.get(message.event, ()):
            outcome = await self._within(self._call(message, consumer), consumer.deadline)
            if isinstance(outcome, Problem):
                await self._failed(message, consumer, outcome)
                return False
        taken.append(message.id)
        return True

    async def _within(self, call: Call, seconds: float) -> Reply | Problem:
        """Run a call for so long at most; one whose commit has begun is left to end."""
        running = asyncio.ensure_future(self._dispatch(call))
        try:
            await asyncio.wait((running,), timeout=seconds + MARGIN)
            if not running.done() and not call.committing:
                running.cancel()
            await asyncio.wait((running,))
        finally:
            if not call.committing:
                running.cancel()
        return DeadlineExceeded("it took too long") if running.cancelled() else running.result()

    def _call(self, message: OutboxMessage, consumer: BoundOperation) -> Call:
        return Call(
            operation=consumer,
            protocol="event",
            method="EVENT",
            target=message.event,
            request_id=message.request_id or str(message.id),
            traceparent=message.traceparent,
            body=message.payload.encode(),
            principal=decode_principal(message.principal),
            message=message.id,
            deadline=self._ports.clock.monotonic() + consumer.deadline,
        )

    async def _failed(self, message: OutboxMessage, consumer: BoundOperation, problem: Problem) -> None:
        attempts = message.attempts + 1
        cause = f"{consumer.name}: {problem.code}"
        self.counters.failed += 1
        if attempts >= consumer.operation.attempts:
            await self._bury(message, cause, attempts)
            return
        delay = min(BASE_DELAY * 2 ** (attempts - 1), MAX_DELAY) * (0.5 + self._ports.entropy.uniform())
        due = self._ports.clock.now() + timedelta(seconds=delay)
        await self._change(message, {"attempts": attempts, "due_at": due, "cause": cause})

    async def _bury(self, message: OutboxMessage, cause: str, attempts: int) -> None:
        """Make a message a dead letter: it is kept, and tried no more."""
        await self._change(message, {"attempts": attempts, "dead": True, "cause": cause})
        self.counters.dead += 1
        facts = {"message": str(message.id), "event": message.event, "attempts": attempts, "cause": cause}
        notice = Notice("error", "dead_letter", f"{message.event} was given up: {cause}", facts)
        self._ports.observer.observe(notice)

    async def _change(self, message: OutboxMessage, changes: dict[str, Any]) -> None:
        changes["version"] = message.version + 1
        changes["updated_at"] = self._ports.clock.now()
        change = Change(where=Compare("id", "eq", message.id), changes=changes, id=message.id)
        await self._write(lambda t: t.rows(OutboxMessage).enqueue(change))

    async def _write(self, queue: Callable[[Transaction], None]) -> None:
        transaction = self._ports.store.begin(write=True)
        try:
            queue(transaction)
            await transaction.commit()
        except BaseException:
            await transaction.rollback()
            raise

    async def housekeeping(self) -> None:
        """Purge what is past its time: idempotency records and inbox marks."""
        if self._ports.clock.monotonic() - self._cleaned < HOUSEKEEPING:
            return
        self._cleaned = self._ports.clock.monotonic()
        now = self._ports.clock.now()
        expired = Compare("expires_at", "le", now)
        old = Compare("created_at", "le", now - INBOX_RETENTION)
        transaction = self._ports.store.begin(write=True)
        try:
            await transaction.rows(IdempotencyRecord).apply(Change(where=expired, changes=None))
            await transaction.rows(InboxMark).apply(Change(where=old, changes=None))
            await transaction.commit()
        except BaseException:
            await transaction.rollback()
            raise
