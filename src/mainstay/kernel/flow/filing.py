"""Filing: an event becomes a row of the inbox for each consumer of this service that it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.flow.consumers import Consumers
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.envelope import Envelope
from mainstay.kernel.flow.places import inbox_place, lane_of, partition_of, step_of
from mainstay.kernel.flow.records import UNSTORED, InboxMessage, State, mark_of
from mainstay.model.conditions import Among
from mainstay.model.structs import EPOCH
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

TOO_OLD = "too_old"
"""The cause of dead letters of which it is not known any more whether their consumer has done them."""

_BESIDE = ("payload", "principal")


class Filing:
    """Makes rows of the inbox."""

    def __init__(
        self,
        ports: Ports,
        consumers: Mapping[str, Sequence[BoundOperation]],
        known: Consumers,
        counters: FlowCounters,
    ) -> None:
        self._ports = ports
        self._consumers = consumers
        self._known = known
        self._counters = counters

    def wanted(self, event: str) -> bool:
        """Whether a consumer of this service is there for an event."""
        return event in self._consumers

    def consumers(self, event: str) -> list[str]:
        """Return the names of the consumers of this service that an event is for."""
        return [one.name for one in self._consumers.get(event, ())]

    def most(self) -> int:
        """Return how many rows one message may become."""
        return max((len(each) for each in self._consumers.values()), default=0)

    async def put(
        self, transaction: Transaction, envelopes: Iterable[Envelope], *, look: bool, fresh: bool = False
    ) -> list[InboxMessage]:
        """Queue events into a transaction, a row for each consumer, and return the rows.

        With ``look`` those that are there already are left out; without it they make the transaction fail, with
        ``UniqueConflict``. Those that are too old for a consumer are dead letters; ``fresh`` says that none is.
        """
        floors = {} if fresh else await self._known.floors(transaction)
        rows = [
            self._row(envelope, consumer.name, floors.get(consumer.name, EPOCH))
            for envelope in envelopes
            for consumer in self._consumers.get(envelope.event, ())
        ]
        stored = transaction.rows(InboxMessage)
        if look and rows:
            there = await stored.fetch(Query(where=Among("mark", tuple(row.mark for row in rows)), unread=_BESIDE))
            known = {row.mark for row in there}
            rows = [row for row in {row.mark: row for row in reversed(rows)}.values() if row.mark not in known][::-1]
        if rows:
            stored.insert(rows)
        return rows

    def unstored(self, envelope: Envelope) -> list[InboxMessage]:
        """Return the rows of an event that are not stored yet. It is fresh, so that none is too old."""
        return [self._row(envelope, one.name, EPOCH, UNSTORED) for one in self._consumers.get(envelope.event, ())]

    def told(self, rows: Iterable[InboxMessage]) -> set[str]:
        """Tell of the dead letters among rows that were committed; return the consumers that there is work for."""
        working = set()
        for row in rows:
            if row.state is State.DEAD:
                self._counters.of(row.consumer).dead += 1
                self._ports.observer.observe(dead_letter(row))
            else:
                working.add(row.consumer)
        return working

    def _row(self, envelope: Envelope, consumer: str, floor: datetime, version: int = 1) -> InboxMessage:
        now = self._ports.clock.now()
        partition = partition_of(envelope.key, envelope.id)
        old = envelope.emitted_at < floor
        key, sequence = envelope.key, envelope.sequence
        step = step_of(lane_of(consumer, envelope.source, key), sequence) if key is not None and sequence else None
        return InboxMessage(
            id=self._ports.ids.next(),
            version=version,
            created_at=now,
            updated_at=now,
            mark=mark_of(consumer, envelope.id),
            consumer=consumer,
            message=envelope.id,
            event=envelope.event,
            source=envelope.source,
            key=key,
            payload=envelope.payload,
            principal=envelope.principal,
            request_id=envelope.request_id,
            traceparent=envelope.traceparent,
            dataversion=envelope.dataversion,
            emitted_at=envelope.emitted_at,
            sequence=sequence,
            previous=envelope.previous,
            step=step,
            partition=partition,
            state=State.DEAD if old else State.PENDING,
            place=None if old else inbox_place(consumer, partition, now),
            cause=TOO_OLD if old else None,
            detail="it was emitted before what is known of this consumer's messages" if old else None,
        )


def dead_letter(row: InboxMessage) -> Notice:
    """Return the notice of a message that was given up."""
    facts = {
        "message": str(row.message),
        "event": row.event,
        "consumer": row.consumer,
        "attempts": row.attempts,
        "cause": row.cause,
        "request_id": row.request_id,
    }
    return Notice("error", "dead_letter", f"{row.event} was given up by {row.consumer}: {row.cause}", facts)
