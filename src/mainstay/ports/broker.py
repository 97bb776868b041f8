"""A broker: carries committed events from the outbox of one service to the inboxes of others.

All that it is asked for is to keep what it has confirmed and to hand it to each group at least once. Order, duplicates,
attempts and dead letters are the inbox's, in the database of whoever receives: no broker's own word is relied on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec


class BrokerAway(Exception):
    """The broker cannot be reached, or does not confirm. What was not confirmed may have been kept all the same.

    Its text is logged for who runs the service: it says what did not work, and holds no part of a URL.
    """


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to publish."""

    id: UUID  # of the event: the same each time it is published
    topic: str  # its full name: "orders.OrderPlaced"
    key: str = ""  # what its order is kept by; "" where it stands alone
    body: bytes  # a CloudEvent, as JSON


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was handed to this subscription and is to be acknowledged or refused by it."""

    topic: str
    body: bytes
    times: int = 1  # how often it has been handed out, where the broker knows
    handle: Any = None  # the adapter's own


class BrokerTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker does of itself. Nothing rests on it but what start-up and the documents tell."""

    durable: bool  # what it has confirmed survives its kill
    ordered: bool  # one key's messages come in the order of their publication while nothing fails
    max_bytes: int  # of a body
    keeps_refused: bool  # what was refused can be looked at in the broker


class Subscription(ABC):
    """One member of a group: members share the group's messages.

    Its methods are called by one task at a time, but for ``acknowledge``, which may be called while ``take`` waits.

    It reconnects by itself: while the broker is away ``take`` raises ``BrokerAway``, and works again once it is back.
    """

    @abstractmethod
    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        """Return up to ``limit`` messages: those that are there, or the first to come within ``wait`` seconds.

        Raises ``BrokerAway``.
        """

    @abstractmethod
    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        """Have messages come no more. Raises ``BrokerAway``: then they may come again.

        So may they where the process is killed, or the broker, before the broker has heard of it: nobody waits for
        that. After ``close``, and where another member takes over what this one had, it has, but for what a broker
        drops of many that were under way.
        """

    @abstractmethod
    async def refuse(self, taken: Incoming, cause: str) -> None:
        """Have a message that cannot be read come no more, kept aside with its cause. Raises ``BrokerAway``."""

    @abstractmethod
    async def close(self) -> None:
        """Leave the group: what was taken and not acknowledged goes to another member, at once where that can be."""


class Broker(ABC):
    """A connection to one broker."""

    traits: BrokerTraits

    @abstractmethod
    async def open(self, topics: Collection[str]) -> None:
        """Connect and see that these topics can be published to. Raises ``BrokerAway``."""

    @abstractmethod
    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        """Publish in order; return the ids of those that the broker has confirmed to keep, once all were tried.

        Raises ``BrokerAway`` where none was. Messages of one key are published in order: where one was not confirmed,
        none of its key behind it is.

        A few calls may be under way at once. Each returns what was confirmed of its own, and nothing is promised of the
        order between them: who wants one has the call before come back first.
        """

    @abstractmethod
    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        """Join a group, which gets what is published to these topics from its first member's joining on.

        Topics that a group had before and has no more bring it nothing. Raises ``BrokerAway``.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let the connection go. Subscriptions are closed before."""
