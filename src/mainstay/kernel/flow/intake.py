"""The intake: what a broker hands to this service becomes rows of its inbox, and is acknowledged once they are kept.

What may run at once runs first, and its rows are added with its effect; all else is stored and run from there. Every
replica that works on events is a member of the group that has the service's name. A message that comes again
finds its rows and changes nothing. A member whose store fails leaves its group, so that no broker waits for it, and
joins again once what it had taken is stored: by then another may have it, or it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.direct import DirectRuns
from mainstay.kernel.flow.envelope import Envelope, Unreadable, decode
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.line import BrokerLine
from mainstay.kernel.flow.records import InboxMessage
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.broker import BrokerAway, Incoming, Subscription
from mainstay.ports.observer import Notice
from mainstay.ports.store import BeyondStore

BATCH = 256
WAIT = 1.0  # seconds for the first message of a batch
BACKLOG = 100_000
"""So many messages may wait in the inbox before the rest is left with the broker."""

ATTEMPTS = 5

SECONDS = 10.0
"""In which fresh messages are stored, or not: well within half the time in which nothing of them is forgotten."""


class _Running:
    """A message that runs before it is stored: as it was taken, and taken again meanwhile, by which membership."""

    __slots__ = ("envelope", "kept", "left", "taken")

    def __init__(self, envelope: Envelope, left: int) -> None:
        self.envelope = envelope
        self.left = left  # rows that have not ended
        self.kept = True
        self.taken: list[tuple[Subscription, Incoming]] = []


class Intake:
    """One member of the service's group."""

    def __init__(
        self,
        ports: Ports,
        service: str,
        topics: Collection[str],
        filing: Filing,
        line: BrokerLine,
        counters: FlowCounters,
        direct: DirectRuns,
        fresh: timedelta = timedelta(),
    ) -> None:
        self._ports = ports
        self._service = service
        self._topics = tuple(sorted(topics))
        self._filing = filing
        self._line = line
        self._counters = counters
        self._direct = direct
        self._fresh = fresh  # so long after its emission nothing of a message is forgotten
        self._subscription: Subscription | None = None
        self._running: dict[UUID, _Running] = {}
        self._ended: list[Incoming] = []  # that ran, and are to be acknowledged
        self._acknowledging: asyncio.Task[None] | None = None
        self._unkept: list[Envelope] = []  # that ran, and could not be stored
        self._owed: Sequence[Envelope] = ()  # taken, and given back since the store failed
        self._size = _size(ports, filing.most())
        self._tell: Callable[[Sequence[InboxMessage]], None] = _nobody
        self.wait: float = WAIT
        self.working: bool = False  # whether something has come since this was set last

    def listen(self, kept: Callable[[Sequence[InboxMessage]], None]) -> None:
        """Be told of messages as soon as they are in the inbox."""
        self._tell = kept

    async def join(self) -> Subscription | None:
        """Join the group, where that was not done, and return the membership; None while the broker is away."""
        if not self._topics:
            self._line.joined = True
            return None
        if not await self._line.ready():
            return None
        if self._subscription is None:
            try:
                self._subscription = await self._line.broker.subscribe(self._service, self._topics)
            except BrokerAway as error:
                self._line.away(error)
                return None
            self._line.joined = True
        return self._subscription

    async def step(self) -> bool:
        """Take one batch in. Returns whether there may be more at once."""
        if self._unkept:
            self._owed, self._unkept = [*self._owed, *self._unkept], []
            await self.close()
        if self._owed:
            with suppress(BeyondStore):  # together they are too much for it: they come again, and are parted
                await self._keep(self._owed)
            self._owed = ()
        subscription = None if self._is_full() else await self.join()
        if subscription is None:
            return False
        try:
            taken = await subscription.take(self._size, self.wait)
            self._line.answered()
            await self._take_in(subscription, taken)
        except BrokerAway as error:
            self._line.away(error)
            return False
        return bool(taken)

    def _is_full(self) -> bool:
        return sum(each.pending for each in self._counters.consumers.values()) > BACKLOG

    async def _take_in(self, subscription: Subscription, taken: Sequence[Incoming]) -> None:
        now = self._ports.clock.now()
        read: list[tuple[Incoming, Envelope]] = []
        for message in taken:
            try:
                read.append((message, decode(message.body, now)))
            except Unreadable as unreadable:
                await self._refuse(subscription, message, str(unreadable))
        read = [one for one in read if not self._begin(subscription, *one)]
        if not read:
            return
        try:
            kept = await self._kept(subscription, read)
        except BrokerAway:
            raise
        except Exception:  # told by the loop; what was taken is stored first when the store is back
            self._owed = [envelope for _, envelope in read]
            await self.close()
            raise
        if kept:
            await subscription.acknowledge(kept)
        self._counters.taken += len(kept)

    def _begin(self, subscription: Subscription, message: Incoming, envelope: Envelope) -> bool:
        """Have a message run before it is stored. Returns False where it is to be stored first."""
        running = self._running.get(envelope.id)
        if running is None:
            first = message.times == 1 and self._are_fresh((envelope,))  # else it is done already, perhaps
            if envelope.key is not None or not first or not self._may_run(envelope.event):  # a key's have an order
                return False
            rows = self._filing.unstored(envelope)
            running = self._running[envelope.id] = _Running(envelope, len(rows))
            self._direct.begin(rows, self._has_run)
        running.taken.append((subscription, message))
        return True

    def _may_run(self, event: str) -> bool:
        consumers = self._filing.consumers(event)
        return bool(consumers) and self._direct.may_begin(consumers)

    def _has_run(self, row: InboxMessage, kept: bool) -> None:
        running = self._running[row.message]
        running.left -= 1
        running.kept = running.kept and kept
        if running.left:
            return
        del self._running[row.message]
        if not running.kept:
            self._unkept.append(running.envelope)
            return
        # By another membership the same handle may be that of another message.
        self._ended += [message for subscription, message in running.taken if subscription is self._subscription]
        if self._acknowledging is None:
            self._acknowledging = asyncio.create_task(self._acknowledge(), name="mainstay-acknowledge")

    async def _acknowledge(self) -> None:
        """Acknowledge what has run, in one go what ended meanwhile."""
        try:
            while self._ended and self._subscription is not None:
                ended, self._ended = self._ended, []
                await self._subscription.acknowledge(ended)
                self._counters.taken += len(ended)
        except BrokerAway as error:  # it comes again, and is there
            self._ended = []
            self._line.away(error)
        finally:
            self._acknowledging = None

    async def settled(self) -> None:
        """Wait until what has run is acknowledged."""
        if self._acknowledging is not None:
            await asyncio.wait((self._acknowledging,))

    async def _refuse(self, subscription: Subscription, message: Incoming, cause: str) -> None:
        await subscription.refuse(message, cause)
        self._counters.refused += 1
        facts = {"topic": message.topic, "cause": cause, "bytes": len(message.body)}
        text = f"a message of {message.topic} cannot be taken in, and was refused: {cause}"
        self._ports.observer.observe(Notice("error", "message_refused", text, facts))

    async def _kept(self, subscription: Subscription, read: Sequence[tuple[Incoming, Envelope]]) -> list[Incoming]:
        """Store messages, fewer at a time where the store does not take them together, and return those it has."""
        try:
            await self._keep([envelope for _, envelope in read])
        except BeyondStore as beyond:
            if len(read) > 1:
                middle = len(read) // 2
                return [*await self._kept(subscription, read[:middle]), *await self._kept(subscription, read[middle:])]
            await self._refuse(subscription, read[0][0], beyond.detail)
            return []
        return [message for message, _ in read]

    async def _keep(self, envelopes: Sequence[Envelope]) -> None:
        """Store messages that are not there yet; another member may be about to store the same.

        Of fresh ones nothing is read: their marks are kept, so that one that is there already makes the insertion
        fail, and then they are looked for. One that is carried out late must not meet marks that were taken away.
        """
        fresh, attempt = self._are_fresh(envelopes), 0
        while True:
            attempt += 1
            deadline = self._ports.clock.monotonic() + SECONDS if fresh else None
            transaction = self._ports.store.begin(write=True, deadline=deadline)
            try:
                filed = await self._filing.put(transaction, envelopes, look=not fresh, fresh=fresh)
                await transaction.commit()
            except (UniqueConflict, SerializationConflict):
                await transaction.rollback()
                self._counters.conflicts += 1
                fresh = False
                if attempt == ATTEMPTS:
                    raise
                continue
            except BaseException:
                await transaction.rollback()
                raise
            self.working = bool(self._filing.told(filed)) or self.working
            self._tell(filed)
            return

    def _are_fresh(self, envelopes: Sequence[Envelope]) -> bool:
        now = self._ports.clock.now()
        return all(now - one.emitted_at < self._fresh for one in envelopes)

    async def close(self) -> None:
        """Leave the group: what was taken and not kept goes to another member."""
        await self.settled()
        subscription, self._subscription, self._ended = self._subscription, None, []
        if subscription is not None:
            await subscription.close()


def _size(ports: Ports, consumers: int) -> int:
    most = ports.store.capabilities.max_writes
    return BATCH if most is None else max(1, min(BATCH, most // max(1, consumers * 6)))


def _nobody(_rows: Sequence[InboxMessage]) -> None:
    """Tell nobody."""
