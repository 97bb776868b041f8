"""The publisher: hands messages of the outbox to the broker, and owes the removal of those that it confirms."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.envelope import Envelope, encode
from mainstay.kernel.flow.hand import Hand, write
from mainstay.kernel.flow.line import BrokerLine
from mainstay.kernel.flow.records import ASIDE, OutboxMessage
from mainstay.model.conditions import Compare
from mainstay.ports.broker import BrokerAway, Outgoing
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Change


class Publisher:
    """Publishes for one service, several batches beside each other where it is asked to."""

    def __init__(
        self, ports: Ports, service: str, line: BrokerLine, hand: Hand, counters: FlowCounters, schemas: str
    ) -> None:
        self.line: BrokerLine = line
        self.hand: Hand = hand
        self._ports = ports
        self._service = service
        self._counters = counters
        self._schemas = schemas  # the URL below which the schemas of events are

    async def publish(self, messages: Sequence[OutboxMessage]) -> bool:
        """Publish messages in their order. Returns whether the broker has confirmed all that it takes.

        They are in hand meanwhile; what was not confirmed is let go, and is found by the next read.
        """
        ids, confirmed = {message.id for message in messages}, set[UUID]()
        self.hand.take(ids)
        try:
            outgoing = await self._fitting([self._outgoing(message) for message in messages])
            confirmed = set(await self.line.broker.publish(outgoing)) if outgoing else set()
        except BrokerAway as error:
            self.line.away(error)
            return False
        finally:
            self.hand.owe(confirmed)
            self.hand.let_go(ids - confirmed)
        if len(confirmed) < len(outgoing):
            self.line.away(BrokerAway("the broker has not confirmed all of a batch"))
            return False
        self.line.answered()
        return True

    async def _fitting(self, outgoing: list[Outgoing]) -> list[Outgoing]:
        """Return what the broker takes. The rest is kept in the outbox, out of the way of it."""
        most = self.line.broker.traits.max_bytes
        if all(len(one.body) <= most for one in outgoing):
            return outgoing
        for one in outgoing:
            if len(one.body) > most:
                await self._set_aside(one, most)
        return [one for one in outgoing if len(one.body) <= most]

    async def _set_aside(self, message: Outgoing, most: int) -> None:
        await write(self._ports, Change(where=Compare("id", "eq", message.id), changes={"place": ASIDE}))
        self._counters.refused += 1
        facts = {"message": str(message.id), "event": message.topic, "bytes": len(message.body), "most": most}
        text = f"{message.topic} is larger than the broker takes: it stays in the outbox"
        self._ports.observer.observe(Notice("error", "event_too_large", text, facts))

    def _outgoing(self, message: OutboxMessage) -> Outgoing:
        body = encode(envelope_of(message, self._service), self._schemas)
        return Outgoing(id=message.id, topic=message.event, key=message.key or "", body=body)


def envelope_of(message: OutboxMessage, service: str) -> Envelope:
    """Return a message of the outbox of a service as others get it."""
    return Envelope(
        id=message.id,
        source=service,
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
