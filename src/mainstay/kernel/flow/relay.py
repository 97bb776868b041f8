"""The relay: hands on what stands in the outbox, to the inbox of its own service or to a broker, at least once.

A replica does so for the partitions that it holds. Messages of one key stand in the outbox in the order in which they
were committed, and are handed on in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.envelope import Envelope, encode
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.line import BrokerLine
from mainstay.kernel.flow.places import PARTITIONS, Span, outbox_partition, outbox_spans, turned
from mainstay.kernel.flow.records import ASIDE, OutboxMessage
from mainstay.kernel.flow.shares import LeaseLost, Shares
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.broker import BrokerAway, Outgoing
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction

BATCH = 256
_BY_PLACE = (Sort("place"), Sort("id"))
_WRITES_OF_A_ROW = 6
"""Items that a row of the inbox is at most, in a store that counts them: itself and what finds it."""


class Relay:
    """Empties the outbox of one service's database."""

    def __init__(
        self,
        ports: Ports,
        service: str,
        filing: Filing,
        shares: Shares,
        counters: FlowCounters,
        line: BrokerLine | None = None,
        schemas: str = "",
    ) -> None:
        self._ports = ports
        self._service = service
        self._filing = filing
        self._shares = shares
        self._counters = counters
        self._line = line
        self._schemas = schemas  # the URL below which the schemas of events are
        self._size = _size(ports, 0 if line is not None else filing.most())
        self._first = 0  # the partition to begin with
        self._unread = ("payload", "principal") if line is None and not filing.most() else ()
        self._look = True  # for rows that are in the inbox already: until it is known that none are
        self.working: set[str] = set()  # consumers that have got something since this was emptied last

    async def step(self) -> bool:
        """Hand on one batch. Returns whether there may be more."""
        held = self._shares.held
        self._counters.partitions = len(held)
        if not held or not await self._may_hand_on():
            return False
        found = await self._waiting(self._turned(outbox_spans(held)))
        if len(found) == self._size:  # there is more: the next batch begins with another partition
            self._first = (self._first + 1) % PARTITIONS
        if not found:
            self._look = False
            return False
        if self._line is not None:
            return await self._publish(self._line, found) and len(found) == self._size
        return await self._move(found)

    def _turned(self, spans: list[Span]) -> list[Span]:
        return turned(spans, outbox_spans((self._first,))[0].first) if self._first else spans

    async def _may_hand_on(self) -> bool:
        """Whether what is handed on arrives: a broker keeps nothing for a group that was never there."""
        return self._line is None or (self._line.joined and await self._line.ready())

    async def _waiting(self, spans: Sequence[Span]) -> list[OutboxMessage]:
        """Read messages in the order of their places."""
        found: list[OutboxMessage] = []
        # A replica of the database that is behind shows what was handed on since.
        transaction = self._ports.store.begin(write=False, single=len(spans) == 1, latest=True)
        try:
            rows = transaction.rows(OutboxMessage)
            for span in spans:
                within = Compare("place", "ge", span.first) & Compare("place", "lt", span.end)
                limit = self._size - len(found)
                found += await rows.fetch(self._query(within, limit))
                if len(found) == self._size:
                    break
            return found
        finally:
            await transaction.rollback()

    def _query(self, within: Condition, limit: int) -> Query:
        return Query(where=within, sort=_BY_PLACE, limit=limit, unread=self._unread)

    async def _move(self, found: Sequence[OutboxMessage]) -> bool:
        """Move messages into the inbox, in one transaction. Those that nobody waits for only go."""
        if not any(self._filing.wanted(message.event) for message in found):
            await self._remove({message.id for message in found})
            self._counters.relayed += len(found)
            return len(found) == self._size
        transaction = self._ports.store.begin(write=True)
        try:
            await self._shares.check(transaction, {outbox_partition(message.place) for message in found})
            wanted = [self._envelope(message) for message in found if self._filing.wanted(message.event)]
            filed = await self._filing.put(transaction, wanted, look=self._look) if wanted else []
            gone = await transaction.rows(OutboxMessage).apply(_removal([message.id for message in found]))
            if gone != len(found):
                raise LeaseLost  # another has moved some of them
            await transaction.commit()
        except (UniqueConflict, SerializationConflict, LeaseLost) as error:
            await transaction.rollback()
            self._look = self._look or isinstance(error, UniqueConflict)
            self._counters.conflicts += 1
            return True
        except BaseException:
            await transaction.rollback()
            raise
        self._counters.relayed += len(found)
        self.working |= self._filing.told(filed)
        return len(found) == self._size

    async def _publish(self, line: BrokerLine, found: Sequence[OutboxMessage]) -> bool:
        """Publish messages, and remove those that the broker has confirmed. Returns whether all were."""
        outgoing = [self._outgoing(message) for message in found]
        most = line.broker.traits.max_bytes
        too_large = [one for one in outgoing if len(one.body) > most]
        if too_large:
            await self._set_aside(too_large, most)
            outgoing = [one for one in outgoing if len(one.body) <= most]
        try:
            confirmed = set(await line.broker.publish(outgoing)) if outgoing else set()
        except BrokerAway as error:
            line.away(error)
            return False
        if len(confirmed) < len(outgoing):
            line.away(BrokerAway("the broker has not confirmed all of a batch"))
        else:
            line.answered()
        await self._remove(confirmed)
        self._counters.relayed += len(confirmed)
        return len(confirmed) == len(outgoing)

    async def _remove(self, ids: set[UUID]) -> None:
        """Remove what is to go whoever holds its partition by now, so that no fence is looked at."""
        if ids:
            await self._write(_removal(sorted(ids)))

    async def _set_aside(self, messages: Sequence[Outgoing], most: int) -> None:
        """Keep what the broker does not take in the outbox, out of the way of what it does."""
        for message in messages:
            where = Compare("id", "eq", message.id)
            await self._write(Change(where=where, changes={"place": ASIDE}))
            self._counters.refused += 1
            facts = {"message": str(message.id), "event": message.topic, "bytes": len(message.body), "most": most}
            text = f"{message.topic} is larger than the broker takes: it stays in the outbox"
            self._ports.observer.observe(Notice("error", "event_too_large", text, facts))

    async def _write(self, change: Change) -> None:
        transaction: Transaction = self._ports.store.begin(write=True)
        try:
            transaction.rows(OutboxMessage).enqueue(change)  # it goes as one statement, where the store has such
            await transaction.commit()
        except BaseException:
            await transaction.rollback()
            raise

    def _envelope(self, message: OutboxMessage) -> Envelope:
        return Envelope(
            id=message.id,
            source=self._service,
            event=message.event,
            key=message.key,
            payload=message.payload,
            principal=message.principal,
            request_id=message.request_id,
            traceparent=message.traceparent,
            emitted_at=message.created_at,
            sequence=message.sequence,
            previous=message.previous,
            dataversion=message.dataversion,
        )

    def _outgoing(self, message: OutboxMessage) -> Outgoing:
        body = encode(self._envelope(message), self._schemas)
        return Outgoing(id=message.id, topic=message.event, key=message.key or "", body=body)


def _size(ports: Ports, consumers: int) -> int:
    """Return how many messages are handed on at once: in a store of few writes a command, as many as fit."""
    most = ports.store.capabilities.max_writes
    return BATCH if most is None else max(1, min(BATCH, most // (2 + consumers * _WRITES_OF_A_ROW)))


def _removal(ids: Sequence[UUID]) -> Change:
    return Change(where=Among("id", tuple(ids)), changes=None)
