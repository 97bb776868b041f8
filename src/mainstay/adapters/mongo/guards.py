"""What makes commands serialisable, where the server only keeps two from writing to the same document.

Under snapshot isolation a command may rest on what another changes at the same time, as long as they write to different
documents. So a command that writes also writes to what it has read: at its end it touches the rows that it read by
their id or unique value, and of each table in which it looked for rows by anything else, all slots of the table's
guard. A command that writes to a table writes to one slot of the guard, its own among those of this process from its
begin to its end: two that write meet there only where they are of two processes, and one that looked meets all who
wrote. A command that writes nothing needs none of it (ADR 110).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import SystemRandom
from typing import Any
from uuid import UUID

from pymongo import UpdateOne

from mainstay.adapters.mongo.layout import Layout

SLOTS = 32
COLLECTION = "mainstay_guards"
TOUCH = "#touch"  # no field has such a name


class Slots:
    """The slots that the commands of this process write to.

    A slot that another wrote to since a command's snapshot was taken is a conflict: so it is held as long as that.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        free = list(range(SLOTS))
        SystemRandom().shuffle(free)  # so that two processes seldom write to the same one
        self._free = deque(free)

    def take(self) -> int | None:
        """Return a slot that nobody here holds, the one that was let go first; None where all are held."""
        return self._free.popleft() if self._free else None

    def give(self, slot: int) -> None:
        """Let a slot go."""
        self._free.append(slot)


class ReadSet:
    """What a command has read and written, as far as its guards need to know."""

    __slots__ = ("looked", "read", "written")

    def __init__(self) -> None:
        self.read: dict[Layout, set[UUID]] = {}
        self.looked: set[Layout] = set()
        self.written: dict[Layout, set[UUID]] = {}

    def met(self, layout: Layout, ids: Iterable[UUID]) -> None:
        """Note rows that were read by what names them."""
        self.read.setdefault(layout, set()).update(ids)

    def wrote(self, layout: Layout, ids: Iterable[UUID] = ()) -> None:
        """Note that rows were written: those of the ids, or such as the command had looked for."""
        self.written.setdefault(layout, set()).update(ids)

    def touched(self) -> dict[Layout, list[UUID]]:
        """Return the rows to touch: read, not written, and of no table whose whole guard is written."""
        found = {
            layout: list(ids - self.written.get(layout, set()))
            for layout, ids in self.read.items()
            if layout not in self.looked
        }
        return {layout: ids for layout, ids in found.items() if ids}

    def guards(self, slot: int) -> list[str]:
        """Return the ids of the guard documents to write."""
        every = [guard_id(layout, each) for layout in self.looked for each in range(SLOTS)]
        return every + [guard_id(layout, slot) for layout in self.written if layout not in self.looked]


def guard_id(layout: Layout, slot: int) -> str:
    """Return the id of one slot of a table's guard."""
    return f"{layout.collection}:{slot}"


def guards_of(layouts: Iterable[Layout]) -> list[UpdateOne]:
    """Return what makes the guards of tables that have none."""
    empty: dict[str, Any] = {"$setOnInsert": {"n": 0}}
    ids = [guard_id(layout, slot) for layout in layouts for slot in range(SLOTS)]
    return [UpdateOne({"_id": id_}, empty, upsert=True) for id_ in ids]
