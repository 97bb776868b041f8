"""A broker on a database that services share: a row for each message and each group that is to have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from mainstay.adapters.database.member import DatabaseMember
from mainstay.adapters.database.records import BrokerDelivery, BrokerPlace, tables
from mainstay.model.conditions import Among, Compare
from mainstay.model.problem import Problem, SerializationConflict
from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Outgoing, Subscription
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.portions import portions
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Store, StoreUnusable, Transaction

HOLD_SECONDS = 15.0
"""For how long what a member took is nobody else's."""

POLL_SECONDS = 0.5
RETENTION = timedelta(days=30)
MAX_BYTES = 1 << 20
_PORTION_COUNT = 200
_PORTION_BYTES = 2 << 20
_ATTEMPTS = 5

T = TypeVar("T")


class DatabaseBroker(Broker):
    """Keeps messages as rows of a store that this broker opens and closes.

    What was not acknowledged for ``hold_seconds`` goes to another member. What nobody has acknowledged for
    ``retention``, and what was refused before that, is taken away, and so are groups that nobody was a member of.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        ids: Ids,
        observer: Observer,
        hold_seconds: float = HOLD_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        retention: timedelta = RETENTION,
    ) -> None:
        self.store: Store = store
        self.clock: Clock = clock
        self.ids: Ids = ids
        self.hold: timedelta = timedelta(seconds=hold_seconds)
        self.poll_seconds: float = poll_seconds
        self.retention: timedelta = retention
        self.traits = BrokerTraits(
            durable=store.capabilities.durable, ordered=True, max_bytes=MAX_BYTES, keeps_refused=True
        )
        self.members: set[DatabaseMember] = set()
        self._observer = observer
        self._opened = False

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - a topic is a word in a row
        """Open the store, and make its tables. Raises ``BrokerAway``."""
        if self._opened:
            return
        try:
            await self.store.start(tables())
        except (Problem, StoreUnusable) as error:
            raise away(error) from error
        self.store.listen(self.wake)
        self._opened = True

    def wake(self) -> None:
        """Have the members of this process look for messages."""
        for member in self.members:
            member.wake()

    async def commit(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do something in a transaction, again where it met another. Raises ``BrokerAway``.

        Statements see what was committed before each of them: what they change, they ask for in the change itself.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            transaction = self.store.begin(write=True, isolation="read_committed")
            try:
                done = await work(transaction)
                await transaction.commit()
            except SerializationConflict as error:
                await transaction.rollback()
                if attempt == _ATTEMPTS:
                    raise away(error) from error
            except BaseException as error:
                with suppress(Problem):
                    await transaction.rollback()
                if isinstance(error, Problem):
                    raise away(error) from error
                raise
            else:
                return done
        raise AssertionError("unreachable")

    def check(self) -> None:
        """Raise ``BrokerAway`` where the store is not open."""
        if not self._opened:
            raise BrokerAway("the database that is the broker was not reached yet")

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        self.check()
        confirmed: list[UUID] = []
        for portion in portions(messages, count=_PORTION_COUNT, size=_PORTION_BYTES):
            try:
                await self.commit(partial(self._add, messages=portion))
            except BrokerAway:
                if not confirmed:
                    raise
                break
            confirmed.extend(message.id for message in portion)
        if confirmed:
            self.wake()
            self.store.ring()
        return frozenset(confirmed)

    async def _add(self, transaction: Transaction, messages: Sequence[Outgoing]) -> None:
        """Add a row for each message and group that has a place at its topic."""
        topics = tuple({message.topic for message in messages})
        places = await transaction.rows(BrokerPlace).fetch(Query(where=Among("topic", topics)))
        groups: dict[str, list[str]] = {}
        for place in places:
            groups.setdefault(place.topic, []).append(place.audience)
        now = self.clock.now()
        made = [
            BrokerDelivery(
                id=self.ids.next(),
                version=1,
                created_at=now,
                updated_at=now,
                audience=group,
                topic=message.topic,
                event=message.id,
                body=message.body,
            )
            for message in messages
            for group in groups.get(message.topic, ())
        ]
        if made:
            transaction.rows(BrokerDelivery).insert(made)

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        self.check()
        member = DatabaseMember(self, group, topics)
        await member.join()
        self.members.add(member)
        return member

    async def purge(self) -> None:
        """Take away what is older than the retention. Raises ``BrokerAway``."""
        before = self.clock.now() - self.retention

        async def work(transaction: Transaction) -> tuple[int, int]:
            old = Compare("created_at", "lt", before)
            rows = transaction.rows(BrokerDelivery)
            await rows.apply(Change(where=old & ~Compare("cause", "eq", None), changes=None))
            lost = await rows.apply(Change(where=old, changes=None))
            silent = Change(where=Compare("seen_at", "lt", before), changes=None)
            return lost, await transaction.rows(BrokerPlace).apply(silent)

        lost, silent = await self.commit(work)
        if lost or silent:
            text = f"{lost} messages were not acknowledged in {self.retention.days} days, and are gone"
            self._observer.observe(Notice("warning", "broker_retention", text, {"messages": lost, "places": silent}))

    async def close(self) -> None:
        if self._opened:
            self._opened = False
            await self.store.stop()


def away(error: Exception) -> BrokerAway:
    """Return what is told of a failure of the store."""
    told = error.code if isinstance(error, Problem) else str(error)
    gone = BrokerAway(f"the database that is the broker does not do what it was asked for: {told}")
    gone.__cause__ = error
    return gone
