"""What makes commands serialisable, where the server only keeps two from writing to the same document.

Under snapshot isolation a command may rest on what another changes at the same time, as long as they write to different
documents. So a command that writes also writes to what it has read: at its end it touches the rows that it read by
their id or unique value, and of each table in which it looked for rows by anything else, all slots of the table's
guard. What it named and did not find counts as looked for, unless it then added it: the index keeps others from that.

A command that writes to a table writes to one slot of the guard, its own among those of this process from its begin to
its end: two that write meet there only where they are of two processes, and one that looked meets all who wrote. A
command that writes nothing needs none of it (ADR 110).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import SystemRandom
from typing import Any, NamedTuple
from uuid import UUID

from pymongo import UpdateOne

from mainstay.adapters.mongo.codec import Document, Field
from mainstay.adapters.mongo.filters import operand
from mainstay.adapters.mongo.layout import Layout
from mainstay.model.conditions import AllOf, Among, Compare, Condition

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

    __slots__ = ("_added", "_missed", "_read", "looked", "written")

    def __init__(self) -> None:
        self.looked: set[Layout] = set()
        self.written: dict[Layout, set[UUID]] = {}
        self._read: dict[tuple[Layout, str], set[Any]] = {}
        self._missed: dict[Layout, set[tuple[str, Any]]] = {}
        self._added: dict[Layout, set[tuple[str, Any]]] = {}

    def met(self, layout: Layout, condition: Condition | None, found: int) -> None:
        """Note what a read found, and by which condition (None: it looked for rows)."""
        names = None if condition is None else named(layout, condition)
        if names is None:
            self.looked.add(layout)
        elif len(names.values) == found:
            self._read.setdefault((layout, names.path), set()).update(names.values)
        elif not found and names.alone and len(names.values) == 1:
            self._missed.setdefault(layout, set()).add((names.path, *names.values))
        else:
            self.looked.add(layout)

    def added(self, layout: Layout, documents: Iterable[Document]) -> None:
        """Note documents that were added: what was not there before is kept away from others by the index."""
        paths = ["_id", *(layout.fields[name].path for name in layout.unique.everywhere)]
        made = self._added.setdefault(layout, set())
        for document in documents:
            made.update((path, document[path]) for path in paths if is_name(document.get(path)))
            self.wrote(layout, (document["_id"],))

    def wrote(self, layout: Layout, ids: Iterable[UUID] = ()) -> None:
        """Note that rows were written: those of the ids, or such as were named or looked for."""
        self.written.setdefault(layout, set()).update(ids)

    def settle(self) -> None:
        """Take a row that was named, not found and not added for one that was looked for."""
        for layout, missed in self._missed.items():
            if missed - self._added.get(layout, set()):
                self.looked.add(layout)

    def touched(self) -> list[tuple[Layout, str, list[Any]]]:
        """Return the rows to touch: read, not written, and of no table whose whole guard is written."""
        found = []
        for (layout, path), values in self._read.items():
            left = values - self.written.get(layout, set()) if path == "_id" else values
            if left and layout not in self.looked:
                found.append((layout, path, list(left)))
        return found

    def guards(self, slot: int) -> list[str]:
        """Return the ids of the guard documents to write."""
        every = [guard_id(layout, each) for layout in self.looked for each in range(SLOTS)]
        return every + [guard_id(layout, slot) for layout in self.written if layout not in self.looked]


class Names(NamedTuple):
    """What a condition names rows by: values of the id or of a unique field; ``alone``: it asks for nothing more."""

    path: str
    values: frozenset[Any]
    alone: bool = True


def is_name(value: Any) -> bool:
    """Say whether a stored value is of a type by which rows are named here."""
    return isinstance(value, UUID | str | int)


def named(layout: Layout, condition: Condition) -> Names | None:
    """Return what a condition names rows by, or None where it looks for them."""
    match condition:
        case Compare(field, "eq", value) if field == "id" or field in layout.unique.everywhere:
            return _names(layout.fields[field], (value,))
        case Among(field, members) if field == "id" or field in layout.unique.everywhere:
            return _names(layout.fields[field], members)
        case AllOf(parts):
            found = (named(layout, part) for part in parts)
            first = next((names for names in found if names is not None), None)
            return None if first is None else first._replace(alone=False)
    return None


def _names(field: Field, members: Iterable[Any]) -> Names | None:
    bound = [None if member is None else operand(field, "eq", member) for member in members]
    return Names(field.path, frozenset(bound)) if all(map(is_name, bound)) else None


def guard_id(layout: Layout, slot: int) -> str:
    """Return the id of one slot of a table's guard."""
    return f"{layout.collection}:{slot}"


def guards_of(layouts: Iterable[Layout]) -> list[UpdateOne]:
    """Return what makes the guards of tables that have none."""
    empty: dict[str, Any] = {"$setOnInsert": {"n": 0}}
    ids = [guard_id(layout, slot) for layout in layouts for slot in range(SLOTS)]
    return [UpdateOne({"_id": id_}, empty, upsert=True) for id_ in ids]
