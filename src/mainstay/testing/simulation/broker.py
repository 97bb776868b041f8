"""A simulated broker: it keeps what it has confirmed, and hands it over late, twice, in any order, and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from random import Random
from uuid import UUID

import msgspec

from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Incoming, Outgoing, Subscription
from mainstay.testing.simulation.line import Line, LineCut

MAX_BYTES = 1 << 20


class Habits(msgspec.Struct, kw_only=True):
    """What a broker does that it may do: parts of all messages. They may change any time."""

    unconfirmed: float = 0.0  # it confirms them not, and has kept half of them
    doubled: float = 0.0  # it hands them over twice
    late: float = 0.0  # they come later, by ``seconds`` on average, and so behind others
    again: float = 0.0  # though they were acknowledged, they come once more, much later
    expelled: float = 0.0  # of all takes: the member is held to be gone; what it has taken goes to others
    seconds: float = 2.0
    visibility: float = 6.0  # seconds after which what was taken and not acknowledged is handed over again

    def settle(self) -> None:
        """Have it do only what it must."""
        self.unconfirmed = self.doubled = self.late = self.again = self.expelled = 0.0


class Copy(msgspec.Struct, eq=False):
    """One copy of a message that a group is to be handed."""

    message: Outgoing
    due: float
    times: int = 1
    holder: _Member | None = None


class Group:
    """What one group is still to be handed, or holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.topics: frozenset[str] = frozenset()
        self.copies: list[Copy] = []
        self.arrived = asyncio.Event()

    def holds(self, message: UUID) -> bool:
        """Whether a message is still to be acknowledged."""
        return any(copy.message.id == message for copy in self.copies)


class SimulatedExchange:
    """The broker's server. Each of ``watchers`` is told of the group and the message of what was acknowledged."""

    def __init__(self, chance: Random, habits: Habits | None = None) -> None:
        self.chance = chance
        self.habits = habits or Habits()
        self.groups: dict[str, Group] = {}
        self.published: list[Outgoing] = []
        self.refused: list[tuple[Incoming, str]] = []
        self.watchers: list[Callable[[Group, Outgoing], None]] = []
        self.members: list[SimulatedSubscription] = []

    def interrupt(self) -> None:
        """Hold every member to be gone."""
        for member in self.members:
            member.expel()

    def keep(self, message: Outgoing) -> None:
        """Keep a message for every group that asks for its topic."""
        self.published.append(message)
        now = asyncio.get_running_loop().time()
        for group in self.groups.values():
            for _ in range((message.topic in group.topics) * (1 + (self.chance.random() < self.habits.doubled))):
                late = self.chance.random() < self.habits.late
                due = now + (self.chance.expovariate(1 / self.habits.seconds) if late else 0.0)
                group.copies.append(Copy(message, due))
                self.ring(group, due)

    def ring(self, group: Group, due: float) -> None:
        """Wake who waits, when there is something for them."""
        loop = asyncio.get_running_loop()
        if due <= loop.time():
            group.arrived.set()
        else:
            loop.call_at(due, group.arrived.set, context=Context())

    def hand_over(self, group: Group, member: _Member, limit: int) -> list[Incoming]:
        """Hand messages to a member: what is due, and what others have had for too long."""
        now = asyncio.get_running_loop().time()
        due = [copy for copy in group.copies if copy.due <= now]
        if self.habits.late and self.chance.random() < 0.5:
            self.chance.shuffle(due)
        taken = due[:limit]
        for copy in taken:
            copy.times += copy.holder is not None
            copy.holder, copy.due = member, now + self.habits.visibility
            self.ring(group, copy.due)
        return [Incoming(topic=c.message.topic, body=c.message.body, times=c.times, handle=c) for c in taken]

    def put_back(self, group: Group, member: _Member) -> None:
        """Have what a member holds handed over again."""
        for copy in group.copies:
            if copy.holder is member:
                copy.holder, copy.due, copy.times = None, 0.0, copy.times + 1
                group.arrived.set()

    def done(self, group: Group, member: _Member, copy: Copy) -> None:
        """Have a message come no more, where it is still the member's."""
        if copy.holder is member and copy in group.copies:
            group.copies.remove(copy)
            if self.chance.random() < self.habits.again:
                due = asyncio.get_running_loop().time() + self.chance.expovariate(0.1 / self.habits.seconds)
                group.copies.append(Copy(copy.message, due, copy.times + 1))
                self.ring(group, due)
            for watcher in self.watchers:
                watcher(group, copy.message)


class _Member:
    """Who takes messages of a group, as the server knows it."""


class SimulatedBroker(Broker):
    """One process's connection to the exchange."""

    traits = BrokerTraits(durable=True, ordered=False, max_bytes=MAX_BYTES, keeps_refused=True)

    def __init__(self, exchange: SimulatedExchange, line: Line | None = None) -> None:
        self.exchange = exchange
        self.line = line or Line()
        self._members: list[SimulatedSubscription] = []

    async def cross(self) -> None:
        """Have a request or an answer cross. Raises ``BrokerAway``."""
        try:
            await self.line.cross()
        except LineCut as cut:
            raise BrokerAway("the broker cannot be reached") from cut

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - it takes all of them
        await self.cross()

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        await self.cross()
        chance, habits = self.exchange.chance, self.exchange.habits
        confirmed: dict[UUID, None] = {}
        broken: set[str] = set()
        for message in messages:
            if message.key and message.key in broken:
                continue
            if chance.random() < habits.unconfirmed:
                broken.add(message.key)
                if chance.random() < 0.5:
                    self.exchange.keep(message)
                continue
            self.exchange.keep(message)
            confirmed[message.id] = None
        await self.cross()
        return confirmed.keys()

    async def subscribe(self, group: str, topics: Collection[str]) -> SimulatedSubscription:
        await self.cross()
        joined = self.exchange.groups.setdefault(group, Group(group))
        joined.topics = frozenset(topics)
        made = SimulatedSubscription(self, joined)
        self._members.append(made)
        self.exchange.members.append(made)
        return made

    async def close(self) -> None:
        self.line.check()

    def lose(self) -> None:
        """Have the connection be gone: what this process holds is handed to others."""
        for member in self._members:
            member.expel()


class SimulatedSubscription(Subscription):
    """One member of a group."""

    def __init__(self, broker: SimulatedBroker, group: Group) -> None:
        self._broker = broker
        self._group = group
        self._member = _Member()

    def expel(self) -> None:
        """Have the server hold this member to be gone. It joins again at its next take."""
        self._broker.exchange.put_back(self._group, self._member)
        self._member = _Member()

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        exchange, loop = self._broker.exchange, asyncio.get_running_loop()
        deadline = loop.time() + wait
        await self._broker.cross()
        if exchange.chance.random() < exchange.habits.expelled:
            self.expel()
            raise BrokerAway("the broker has ended the subscription")
        while not (taken := exchange.hand_over(self._group, self._member, limit)) and loop.time() < deadline:
            self._group.arrived.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._group.arrived.wait()
            except TimeoutError:
                break
        await self._broker.cross()
        return taken

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        await self._broker.cross()
        for one in taken:
            self._broker.exchange.done(self._group, self._member, one.handle)
        await self._broker.cross()

    async def refuse(self, taken: Incoming, cause: str) -> None:
        self._broker.exchange.refused.append((taken, cause))
        await self.acknowledge((taken,))

    async def close(self) -> None:
        await self._broker.cross()
        self.expel()
