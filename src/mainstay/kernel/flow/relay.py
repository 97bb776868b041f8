"""The relay: hands on what stands in the outbox, to the inbox of its own service or to a broker, at least once.

A replica does so for the partitions that it holds. Messages of one key stand in the outbox in the order in which they
were committed, and are handed on in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.courier import Courier
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.hand import removal, write
from mainstay.kernel.flow.places import PARTITIONS, Span, outbox_partition, outbox_spans, turned
from mainstay.kernel.flow.publisher import Publisher, envelope_of
from mainstay.kernel.flow.records import OutboxMessage
from mainstay.kernel.flow.shares import LeaseLost, Shares
from mainstay.model.conditions import Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.rows import Query

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
        publisher: Publisher | None = None,
        courier: Courier | None = None,
    ) -> None:
        self._ports = ports
        self._service = service
        self._filing = filing
        self._shares = shares
        self._counters = counters
        self._publisher = publisher
        self._courier = courier
        self._size = _size(ports, 0 if publisher is not None else filing.most())
        self._first = 0  # the partition to begin with
        self._unread = ("payload", "principal") if publisher is None and not filing.most() else ()
        self._look = True  # for rows that are in the inbox already: until it is known that none are
        self.working: set[str] = set()  # consumers that have got something since this was emptied last

    async def step(self) -> bool:
        """Hand on one batch. Returns whether there may be more."""
        held = self._shares.held
        self._counters.partitions = len(held)
        if not held or not await self._may_hand_on():
            return False
        found = await self._waiting(self._turned(outbox_spans(held)))
        full = len(found) == self._size
        if full:  # there is more: the next batch begins with another partition
            self._first = (self._first + 1) % PARTITIONS
        if self._courier is not None:
            self._courier.behind = full
        if not found:
            self._look = False
            return False
        if self._publisher is not None:
            return await self._publisher.publish(found) and full
        return await self._move(found)

    def _turned(self, spans: list[Span]) -> list[Span]:
        return turned(spans, outbox_spans((self._first,))[0].first) if self._first else spans

    async def _may_hand_on(self) -> bool:
        """Whether what is handed on arrives: a broker keeps nothing for a group that was never there.

        While much is still to be removed, which is in hand until then, nothing is handed on either.
        """
        if self._publisher is None:
            return True
        line = self._publisher.line
        return not self._publisher.hand.is_full and line.joined and await line.ready()

    async def _waiting(self, spans: Sequence[Span]) -> list[OutboxMessage]:
        """Read messages in the order of their places, but for those that are in hand."""
        found: list[OutboxMessage] = []
        before = self._in_hand()  # what is removed meanwhile is read all the same
        # A replica of the database that is behind shows what was handed on since.
        transaction = self._ports.store.begin(write=False, single=len(spans) == 1, latest=True)
        try:
            rows = transaction.rows(OutboxMessage)
            for span in spans:
                within = Compare("place", "ge", span.first) & Compare("place", "lt", span.end)
                read = await rows.fetch(self._query(within, self._size - len(found) + len(before)))
                known = before | self._in_hand()
                found += [message for message in read if message.id not in known]
                if len(found) >= self._size:
                    break
            return found[: self._size]
        finally:
            await transaction.rollback()

    def _in_hand(self) -> frozenset[UUID]:
        return frozenset() if self._publisher is None else frozenset(self._publisher.hand.ids)

    def _query(self, within: Condition, limit: int) -> Query:
        return Query(where=within, sort=_BY_PLACE, limit=limit, unread=self._unread)

    async def _move(self, found: Sequence[OutboxMessage]) -> bool:
        """Move messages into the inbox, in one transaction. Those that nobody waits for only go."""
        if not any(self._filing.wanted(message.event) for message in found):
            await write(self._ports, removal([message.id for message in found]))
            self._counters.relayed += len(found)
            return len(found) == self._size
        transaction = self._ports.store.begin(write=True)
        try:
            await self._shares.check(transaction, {outbox_partition(message.place) for message in found})
            wanted = [envelope_of(message, self._service) for message in found if self._filing.wanted(message.event)]
            filed = await self._filing.put(transaction, wanted, look=self._look) if wanted else []
            gone = await transaction.rows(OutboxMessage).apply(removal([message.id for message in found]))
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


def _size(ports: Ports, consumers: int) -> int:
    """Return how many messages are handed on at once: in a store of few writes a command, as many as fit."""
    most = ports.store.capabilities.max_writes
    return BATCH if most is None else max(1, min(BATCH, most // (2 + consumers * _WRITES_OF_A_ROW)))
