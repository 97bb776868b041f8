"""What of each partition was handed out, and up to where all of it was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

Partition = tuple[str, int]
"""A topic, and a number."""


class Place(NamedTuple):
    """Where a message is from, and by which assignment of its partition it came."""

    topic: str
    partition: int
    offset: int
    epoch: int


class Ledger:
    """Offsets of one partition while it is this member's.

    Kafka keeps one number a partition, the offset to go on from, and messages are acknowledged in any order. So what
    may be committed is the lowest offset that is not acknowledged.
    """

    def __init__(self, begin: int, *, on_record: bool, epoch: int) -> None:
        self.epoch = epoch
        self.position = begin
        self._committed = begin if on_record else None
        self._taken: dict[int, bool] = {}  # in rising order: whether it was acknowledged

    def take(self, offset: int) -> None:
        """Note that a message was handed out. Offsets rise; there may be gaps."""
        self._taken[offset] = False

    def acknowledge(self, offset: int) -> None:
        """Note that a message is to come no more."""
        if offset not in self._taken:
            return
        self._taken[offset] = True
        while self._taken and self._taken[first := next(iter(self._taken))]:
            del self._taken[first]
            self.position = first + 1

    @property
    def due(self) -> int | None:
        """The offset to commit, or None where it is on record."""
        return None if self._committed == self.position else self.position

    def committed(self, offset: int) -> None:
        """Note what is on record."""
        self._committed = offset


class Ledgers:
    """Those of one member. Messages are acknowledged in the loop, and all else is noted in the client's thread."""

    def __init__(self) -> None:
        self._lock = Lock()  # nothing is waited for while it is held
        self._ledgers: dict[Partition, Ledger] = {}
        self._due: set[Partition] = set()
        self._epoch = 0

    def next_epoch(self) -> int:
        """Return what tells an assignment from those before."""
        self._epoch += 1
        return self._epoch

    def begin(self, place: Partition, offset: int, *, on_record: bool, epoch: int) -> None:
        """Note that a partition is this member's."""
        with self._lock:
            self._ledgers[place] = Ledger(offset, on_record=on_record, epoch=epoch)
            self._look(place)

    def _look(self, place: Partition) -> None:
        if self._ledgers[place].due is None:
            self._due.discard(place)
        else:
            self._due.add(place)

    def take(self, topic: str, partition: int, offset: int) -> Place | None:
        """Note that a message is handed out; None where its partition has gone to another member since."""
        with self._lock:
            ledger = self._ledgers.get((topic, partition))
            if ledger is None:
                return None
            ledger.take(offset)
            return Place(topic, partition, offset, ledger.epoch)

    def acknowledge(self, places: Sequence[Place]) -> bool:
        """Note that messages are to come no more; return whether all of them were this member's to acknowledge."""
        with self._lock:
            return sum([self._acknowledged(place) for place in places]) == len(places)

    def _acknowledged(self, place: Place) -> bool:
        ledger = self._ledgers.get((place.topic, place.partition))
        if ledger is None or ledger.epoch != place.epoch:
            return False
        ledger.acknowledge(place.offset)
        self._look((place.topic, place.partition))
        return True

    @property
    def due(self) -> Mapping[Partition, int]:
        """The offsets that are to be put on record."""
        with self._lock:
            return {place: self._ledgers[place].position for place in self._due}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note what is on record."""
        with self._lock:
            for place, offset in offsets.items():
                if place in self._ledgers:
                    self._ledgers[place].committed(offset)
                    self._look(place)

    def give_up(self, places: Iterable[Partition], *, though_due: bool) -> bool:
        """Let partitions go; not one of them where something is still to be put on record."""
        with self._lock:
            gone = set(places)
            if not though_due and not gone.isdisjoint(self._due):
                return False
            for place in gone:
                self._ledgers.pop(place, None)
            self._due -= gone
            return True

    def clear(self) -> None:
        """Let all partitions go."""
        with self._lock:
            self._ledgers.clear()
            self._due.clear()
