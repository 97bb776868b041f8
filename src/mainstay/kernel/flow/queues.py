"""The messages of one consumer that are in memory, by lanes: those of one key run one by one, lanes side by side.

They stay in the database as they are until they have run: memory may be let go of at any time.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from uuid import UUID

from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.flow.records import InboxMessage

BATCH = 128
"""Messages of a consumer that are in memory at most, but for those whose pause has ended and what a sweep brings."""

LANE_BATCH = 96
"""Messages of one lane that are in memory at most."""

CROWD = 4
"""So many messages of each key on the average are a crowd."""

TURN = 16
"""Messages of a lane that run in one go while another lane waits."""


class ConsumerQueue:
    """One consumer with its lanes."""

    def __init__(self, consumer: BoundOperation) -> None:
        self.consumer: BoundOperation = consumer
        self.name: str = consumer.name
        self.latest_only: bool = consumer.operation.latest_only
        self.parks: bool = consumer.operation.on_dead == "park"
        self.tasks: dict[str, asyncio.Task[None]] = {}  # by lane
        self.look: bool = True  # for messages that may run
        self.rests_until: float = 0.0  # monotonic; nothing begins before
        self.crowded: bool = False  # its front is full of the messages of few keys
        self._lanes: dict[str, list[InboxMessage]] = {}
        self._loaded: set[UUID] = set()
        self._steps: set[str] = set()
        self._ended: set[UUID] = set()  # since the look that is under way began: it may see them as they were

    def __len__(self) -> int:
        return len(self._loaded)

    @property
    def room(self) -> int:
        """How many messages may be read in."""
        return max(0, BATCH - len(self._loaded))

    @property
    def asks(self) -> bool:
        """Whether messages are to be read in: not for a few places, while as many run as may."""
        few = self.room * 2 < BATCH and len(self.tasks) >= self.consumer.operation.concurrency
        return self.look and self.room > 0 and not few

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, as far as is known, and another message may run beside those that do."""
        few = len(self.tasks) < self.consumer.operation.concurrency
        return few and not self.look and len(self._lanes) == len(self.tasks)

    def ordered(self, row: InboxMessage) -> bool:
        """Whether a message waits for the one before it."""
        return row.step is not None and not self.latest_only

    def has(self, id: UUID) -> bool:
        """Whether a message is in memory, or was and has ended since the last look began."""
        return id in self._loaded or id in self._ended

    def has_step(self, step: str) -> bool:
        """Whether the message of a step is in memory, and will run before those that are added now."""
        return step in self._steps

    def is_passed(self, row: InboxMessage) -> bool:
        """Whether a later message of its key runs just now."""
        lane = lane_name(row)
        head = self.head(lane)
        return head is not None and lane in self.tasks and _order(head) > _order(row)

    def add(self, row: InboxMessage) -> None:
        """Put a message into its lane, in the order of sequences."""
        insort(self._lanes.setdefault(lane_name(row), []), row, key=_order)
        self._loaded.add(row.id)
        if row.step is not None:
            self._steps.add(row.step)

    def begin_look(self) -> None:
        """Say that from now on it is looked for messages: those that end meanwhile are not to be found again."""
        self._ended.clear()

    def has_ended(self, row: InboxMessage) -> bool:
        """Whether a message that was just read has been done since, so that what is behind it may run."""
        return row.id in self._ended

    def fitting(self, rows: Iterable[InboxMessage], passed: set[str]) -> list[InboxMessage]:
        """Return those messages that may be added, of each lane so many at most; note in ``passed`` which have more.

        Of a lane that is noted there nothing is taken: an earlier message of it was passed over.
        """
        counts = Counter({lane: len(held) for lane, held in self._lanes.items()})
        fit = []
        for row in rows:
            lane = lane_name(row)
            if lane in passed or self.has(row.id):
                continue
            if counts[lane] >= LANE_BATCH:
                passed.add(lane)
                continue
            counts[lane] += 1
            fit.append(row)
        return fit

    def lanes(self) -> Collection[str]:
        """Return the lanes that have messages in memory."""
        return self._lanes.keys()

    def has_had_its_turn(self, done: int) -> bool:
        """Whether a lane that has done so many messages lets another one that waits go first."""
        return done >= TURN and len(self._lanes) > len(self.tasks)

    def head(self, lane: str) -> InboxMessage | None:
        """Return the first message of a lane."""
        rows = self._lanes.get(lane)
        return rows[0] if rows else None

    def behind(self, lane: str) -> list[InboxMessage]:
        """Return the messages behind the first one of a lane."""
        return self._lanes.get(lane, [])[1:]

    def pop(self, lane: str) -> None:
        """Let go of the first message of a lane: it has ended."""
        row = self._lanes[lane].pop(0)
        self._ended.add(row.id)
        self._forget(row)

    def put_last(self, lane: str) -> None:
        """Let the lanes that wait go before one."""
        self._lanes[lane] = self._lanes.pop(lane)

    def drop(self, lane: str) -> None:
        """Let go of a lane: what is in it can be read again."""
        for row in self._lanes.pop(lane, ()):
            self._forget(row)

    def _forget(self, row: InboxMessage) -> None:
        self._loaded.discard(row.id)
        if row.step is not None:
            self._steps.discard(row.step)

    def keep(self, wanted: Callable[[InboxMessage], bool]) -> None:
        """Let go of the lanes that do not run and have a message that is not wanted."""
        for lane, rows in list(self._lanes.items()):
            if lane not in self.tasks and not all(map(wanted, rows)):
                self.drop(lane)

    def waiting(self) -> Iterator[str]:
        """Give the lanes that do not run, the first to come first. They may be started meanwhile."""
        return (lane for lane in self._lanes if lane not in self.tasks)

    def running(self) -> Collection[InboxMessage]:
        """Return the messages that run."""
        return [rows[0] for lane in self.tasks if (rows := self._lanes.get(lane))]


def lane_name(row: InboxMessage) -> str:
    """Return the lane of a message: one without a key has its own."""
    return str(row.id) if row.key is None else f"{row.source}\x00{row.key}"


def _order(row: InboxMessage) -> tuple[int, UUID]:
    return row.sequence, row.id
