"""What must hold in a simulated run: looked at with every commit and every acknowledgement, and once more at its end.

Nothing is lost: what was committed stands in the outbox, in the broker or in the inbox of each of its consumers until
it is done. No effect is doubled, and none is without its mark. One key's effects come in the order of the commits that
emitted its events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from mainstay import Entity, field
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage, State
from mainstay.ports.broker import Outgoing
from mainstay.testing.fixed import START
from mainstay.testing.simulation.broker import Group, SimulatedExchange
from mainstay.testing.simulation.database import Database, RowChange

MOST_FAULTS = 5
GAP = timedelta(seconds=30)  # a tenth and more of a run, else none would be seen to end
HELD = GAP - timedelta(seconds=6)  # by clocks that are off by up to 3
Order = Literal["parks", "continues", "latest"]
_UNMET = ("gap", "late", "too_old")  # causes that have nothing to do with the message itself
_PASSED_OVER: Mapping[Order, frozenset[State]] = {
    "parks": frozenset({State.DROPPED}),
    "continues": frozenset({State.DEAD, State.DROPPED}),
    "latest": frozenset(State),
}


class Effect(Entity):
    """What a consumer did for an event, in the transaction of its mark."""

    consumer: str = field(index=True)
    event: str = field(default="")
    number: int = field(default=0)


class Consumer(NamedTuple):
    """A consumer, as it was declared; ``event`` by its full name."""

    name: str
    event: str
    order: Order
    may_die: bool = False  # it has few attempts, and events that it cannot do


class Party(NamedTuple):
    """A service: the group of its name, its database, and its consumers."""

    name: str
    database: Database
    consumers: Sequence[Consumer]


class Told(msgspec.Struct):
    """An event that was committed. ``place`` is that among those of its kind and key, in the order of their commits.

    ``begun`` is the place that its chain begins at: where the sequence of a key is forgotten, it begins anew.
    """

    id: UUID
    event: str
    number: int
    key: str | None
    place: int
    begun: int


class Truth:
    """What was committed, and what is wrong with what came of it."""

    def __init__(
        self,
        parties: Sequence[Party],
        now: Callable[[], float],
        exchange: SimulatedExchange | None,
        *,
        forgets: bool = False,
    ) -> None:
        self.faults: list[str] = []
        self.told: dict[UUID, Told] = {}
        self.effects = 0
        self._now = now
        self._parties = parties
        self._exchange = exchange
        self._forgets = forgets  # what is late may be too old, for little is kept of what was done
        self._numbers: dict[tuple[str, int], Told] = {}
        self._keys: dict[tuple[str, str], list[Told]] = {}
        self._sequences: dict[tuple[str, str], int] = {}
        self._done: dict[tuple[str, UUID], None] = {}
        self._dropped: dict[tuple[str, UUID], None] = {}
        self._last: dict[tuple[str, str, str], int] = {}  # consumer, event, key: the place of its last effect
        for party in parties:
            party.database.watchers.append(partial(self._committed, party))
        if exchange is not None:
            exchange.watchers.append(self._acknowledged)

    def fault(self, text: str) -> None:
        """Note what is wrong."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(f"{self._now():.3f} s: {text}")

    def _committed(self, party: Party, changes: Sequence[RowChange]) -> None:
        effects = [one.new for one in changes if one.entity is Effect and one.old is None]
        marks = [one for one in changes if one.entity is InboxMessage]
        for one in changes:
            if one.entity is OutboxMessage and one.old is None:
                self._emitted(one.new)
        for one in changes:
            if one.entity is OutboxMessage and one.new is None:
                self._left(party, one.old)
        for mark in marks:
            self._marked(mark.old, mark.new, effects)
        for effect in effects:
            self._effected(party, effect, marks)

    # What was emitted.

    def _emitted(self, row: Any) -> None:
        number = msgspec.json.decode(row.payload)["number"]
        behind = self._keys.setdefault((row.event, row.key), []) if row.key is not None else []
        begun = behind[-1].begun if behind and row.previous else len(behind)
        told = Told(row.id, row.event, number, row.key, len(behind), begun)
        if row.key is not None:
            self._check_chain(row)
            behind.append(told)
        self.told[row.id] = self._numbers[row.event, number] = told

    def _check_chain(self, row: Any) -> None:
        """See that sequences go up with the commits of a kind and key, and name the one before."""
        last = self._sequences.get((row.event, row.key), 0)
        self._sequences[row.event, row.key] = row.sequence
        begun_again = self._forgets and row.previous == 0
        if row.sequence <= last or not (row.previous == last or begun_again):
            self.fault(
                f"{row.event} of {row.key} has sequence {row.sequence} after {row.previous}; the last was {last}"
            )

    # Nothing is lost.

    def _left(self, party: Party, row: Any) -> None:
        """See that what left the outbox is with whoever is to have it."""
        if self._exchange is not None and not any(message.id == row.id for message in self._exchange.published):
            self.fault(f"{self._name(row.id)} left the outbox, and the broker never had it")
        group = None if self._exchange is None else self._exchange.groups.get(party.name)
        if group is None or not group.holds(row.id):
            self._check_kept(party, row.id, "left the outbox")

    def _acknowledged(self, group: Group, message: Outgoing) -> None:
        party = next(one for one in self._parties if one.name == group.name)
        if not group.holds(message.id):
            self._check_kept(party, message.id, "was acknowledged")

    def _check_kept(self, party: Party, id_: UUID, what: str) -> None:
        told = self.told.get(id_)
        for consumer in party.consumers:
            if told is None or consumer.event != told.event or (consumer.name, id_) in self._done:
                continue
            if self._row(party, consumer.name, id_) is None:
                self.fault(f"{self._name(id_)} {what} and is not in the inbox of {consumer.name}")

    def _row(self, party: Party, consumer: str, id_: UUID) -> Any:
        state = party.database.tables[InboxMessage]
        named = state.named("mark", f"{consumer}:{id_}")
        return None if named is None else state.rows[named]

    def _name(self, id_: UUID) -> str:
        told = self.told.get(id_)
        return f"an event {id_}" if told is None else f"{told.event} {told.number} of {told.key}"

    # No effect is doubled, and each has its mark.

    def _marked(self, old: Any, new: Any, effects: Sequence[Any]) -> None:
        if new is not None and new.state is State.DROPPED:
            self._dropped[new.consumer, new.message] = None
        if old is None or (new is not None and old.state is State.PENDING and new.state is not State.DONE):
            return
        if new is None:
            if old.state not in (State.DONE, State.DROPPED):
                self.fault(f"{self._name(old.message)} was taken out of the inbox of {old.consumer} as {old.state}")
        elif old.state is State.DONE and new.state is not State.DONE:
            self.fault(f"{self._name(old.message)} was done at {old.consumer}, and is {new.state}")
        elif old.state is State.PENDING and not any(self._belongs(effect, new) for effect in effects):
            self.fault(f"{self._name(new.message)} is done at {new.consumer} without an effect")

    def _belongs(self, effect: Any, mark: Any) -> bool:
        told = self.told.get(mark.message)
        return (
            told is not None
            and effect.consumer == mark.consumer
            and (effect.event, effect.number) == (told.event, told.number)
        )

    def _effected(self, party: Party, effect: Any, marks: Sequence[RowChange]) -> None:
        self.effects += 1
        told = self._numbers.get((effect.event, effect.number))
        if told is None:
            self.fault(f"{effect.consumer} had {effect.event} {effect.number}, which was never committed")
            return
        if not any(
            one.new is not None and one.new.state is State.DONE and self._belongs(effect, one.new) for one in marks
        ):
            self.fault(f"{effect.consumer} had an effect for {self._name(told.id)} without its mark")
        if (effect.consumer, told.id) in self._done:
            self.fault(f"{effect.consumer} had two effects for {self._name(told.id)}")
        self._done[effect.consumer, told.id] = None
        if told.key is not None:
            self._check_order(party, effect.consumer, told, told.key)

    def _check_order(self, party: Party, name: str, told: Told, key: str) -> None:
        last = self._last.get((name, told.event, key), -1)
        if told.place < last:
            self.fault(f"{name} had {self._name(told.id)} behind a later one of its key")
            return
        self._last[name, told.event, key] = told.place
        order = next(one.order for one in party.consumers if one.name == name)
        for passed in self._keys[told.event, key][max(last + 1, told.begun) : told.place]:
            row = self._row(party, name, passed.id)
            if order == "latest" or self._is_given_up(party, name, told, row):
                continue
            if row is None or row.state not in _PASSED_OVER[order]:
                state = "missing" if row is None else row.state
                self.fault(f"{name} had {self._name(told.id)} before {passed.number}, which is {state}")

    def _is_given_up(self, party: Party, name: str, told: Told, row: Any) -> bool:
        """Whether nobody waits for a message any more: it is behind the floor, or was waited for as long as any is."""
        if self._forgets:
            return row is None or row.cause == "too_old"
        return row is None and self._was_held(party, name, told)

    def _was_held(self, party: Party, name: str, told: Told) -> bool:
        """Whether the messages of a key were held for one that did not come."""
        rows = (self._row(party, name, one.id) for one in self._keys[told.event, told.key or ""][: told.place + 1])
        now = START + timedelta(seconds=self._now())
        return any(row is not None and now - row.created_at >= HELD for row in rows)

    # In the end.

    def unfinished(self) -> list[str]:
        """Return what is still to come though nothing goes wrong any more: in the end there is nothing."""
        parties = self._parties
        found = [f"{self._name(row.id)} is in the outbox" for p in parties for row in p.database.rows(OutboxMessage)]
        return found + [
            f"{self._name(told.id)} is not done at {consumer.name}"
            for party in parties
            for told in self.told.values()
            for consumer in party.consumers
            if consumer.event == told.event and not self._finished(party, consumer, told)
        ]

    def _finished(self, party: Party, consumer: Consumer, told: Told) -> bool:
        if (consumer.name, told.id) in self._done or (consumer.name, told.id) in self._dropped:
            return True
        row = self._row(party, consumer.name, told.id)
        if row is None:
            return False
        if row.state is State.PENDING:
            return consumer.order == "parks" and told.key is not None and self._parked(party, consumer, told, told.key)
        if row.state is not State.DEAD or row.cause not in _UNMET:
            return row.state is State.DEAD and consumer.may_die
        late = max(row.created_at - row.emitted_at, row.updated_at - row.created_at) >= HELD
        return self._forgets or (late and row.cause != "too_old")

    def _parked(self, party: Party, consumer: Consumer, told: Told, key: str) -> bool:
        """Whether a message waits behind a dead letter of its key."""
        before = [self._row(party, consumer.name, one.id) for one in self._keys[told.event, key][: told.place]]
        return any(row is not None and row.state is State.DEAD for row in before)

    def lost(self, acknowledged: Sequence[tuple[str, int]]) -> list[str]:
        """Return what clients were told was committed, and was not."""
        return [f"{event} {number}" for event, number in acknowledged if (event, number) not in self._numbers]
