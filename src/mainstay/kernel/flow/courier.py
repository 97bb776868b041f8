"""The courier: publishes what its own process has just committed, without its being read from the outbox.

Only messages without a key, of which no order is promised, and only of partitions that this replica holds, so that no
two publish the same. Whatever becomes of them stands in the outbox until the broker has confirmed it: what the courier
does not take, or lets go, the relay finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainstay.kernel.flow.places import outbox_partition
from mainstay.kernel.flow.publisher import Publisher
from mainstay.kernel.flow.records import OutboxMessage
from mainstay.kernel.flow.shares import Shares

FLIGHTS = 4
"""Batches that are published beside each other."""

MOST_IN_HAND = 256
"""Messages in hand before others are left to be read."""


class Courier:
    """Takes what was committed, all of a moment together, and publishes it in flights, each by its number."""

    def __init__(self, publisher: Publisher, shares: Shares) -> None:
        self.behind: bool = False  # the relay has more to read than it reads at once: all is left to it
        self._publisher = publisher
        self._shares = shares
        self._waiting: list[OutboxMessage] = []
        self._flying: set[int] = set()
        self._wakes: Sequence[Callable[[], None]] = ()
        self._stopped = False

    def listen(self, wakes: Sequence[Callable[[], None]]) -> None:
        """Have flights called, each by what wakes it, when there is something for them."""
        self._wakes = wakes

    def offer(self, stored: Sequence[OutboxMessage]) -> list[OutboxMessage]:
        """Take messages that are committed. Returns those that are to be read."""
        if not self._may_take(len(stored)):
            return list(stored)
        left: list[OutboxMessage] = []
        taken: list[OutboxMessage] = []
        for one in stored:
            (taken if self._is_ours(one) else left).append(one)
        hand = self._publisher.hand
        fresh = [one for one in taken if one.id not in hand.ids]  # else a read was quicker
        if fresh:
            hand.take([one.id for one in fresh])
            self._waiting += fresh
            self._call()
        return left

    def _may_take(self, count: int) -> bool:
        room = MOST_IN_HAND - len(self._publisher.hand)
        return count <= room and not self.behind and not self._stopped and self._publisher.line.up

    def _is_ours(self, message: OutboxMessage) -> bool:
        return message.key is None and self._shares.holds(outbox_partition(message.place))

    def _call(self) -> None:
        """Wake the first flight that is free; where none is, the next to be so takes what waits."""
        for number, wake in enumerate(self._wakes):
            if number not in self._flying:
                wake()
                return

    async def step(self, flight: int = 0) -> bool:
        """Publish what waits. Returns whether there is more by then."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return False
        ours = [one for one in waiting if self._is_ours(one)] if self._publisher.line.up else []
        if len(ours) < len(waiting):  # another holds them since, or the broker is away since
            self._publisher.hand.let_go({one.id for one in waiting} - {one.id for one in ours})
        self._flying.add(flight)
        try:
            if ours:
                await self._publisher.publish(ours)
        finally:
            self._flying.discard(flight)
        return bool(self._waiting)

    def stop(self) -> None:
        """Take nothing more. What waits is let go: it stands in the outbox."""
        self._stopped = True
        waiting, self._waiting = self._waiting, []
        self._publisher.hand.let_go([one.id for one in waiting])
