"""Writes on the view of a command, under the rules that a database would keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from mainstay.adapters.dynamo.codec import Item, Value
from mainstay.adapters.dynamo.layout import Key, Layout
from mainstay.adapters.dynamo.reading import select
from mainstay.adapters.dynamo.view import View
from mainstay.model.problem import NotFound, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, reference_conflict, still_referenced, unique_conflict

Given = Mapping[str, Value | None]
"""Attributes to set, and (None) to take away."""


class Insertion(NamedTuple):
    """A row to be added."""

    layout: Layout
    item: Item

    def reads(self) -> list[Key]:
        """Return where the items stand that this will read."""
        return [self.layout.row(UUID(self.item["id"]["S"])), *(key for _, key in self.layout.marks(self.item))]

    def attributes(self) -> Given:
        """Return the attributes to set."""
        return self.item

    async def run(self, writer: Writer) -> int:
        """Add the row."""
        return await writer.insert(self.layout, self.item)


class Alteration(NamedTuple):
    """A change, with the attributes that it comes to: what the caller does to its values since does not matter."""

    layout: Layout
    change: Change
    given: Given | None
    bump: bool

    def reads(self) -> list[Key]:
        """Return where the items stand that this will read, as far as it names them."""
        return [] if self.change.id is None else [self.layout.row(self.change.id)]

    def attributes(self) -> Given:
        """Return the attributes to set."""
        return self.given or {}

    async def run(self, writer: Writer) -> int:
        """Carry the change out, and return how many rows it met."""
        return await writer.change(self.layout, self.change, self.given, self.bump)


class Writer:
    """Carries writes out on a view."""

    __slots__ = ("_layouts", "_view")

    def __init__(self, view: View, layouts: Mapping[type[Entity], Layout]) -> None:
        self._view = view
        self._layouts = layouts

    async def run(self, writes: Sequence[Insertion | Alteration]) -> None:
        """Carry out writes in order; what they are known to read is read at once."""
        if len(writes) > 1:
            targets = (target for write in writes for target in self._targets(write.layout, write.attributes()))
            await self._view.look(list(targets))
            await self._view.items(list(dict.fromkeys(key for write in writes for key in write.reads())))
        for write in writes:
            await write.run(self)

    def _targets(self, layout: Layout, given: Given) -> Iterator[Key]:
        for reference in layout.outgoing:
            value = given.get(reference.field)
            if value is not None:
                yield self._layouts[reference.target].row(UUID(value["S"]))

    async def insert(self, layout: Layout, item: Item) -> int:
        """Add a row. Raises ``UniqueConflict`` and ``ReferenceConflict``."""
        if await self._view.item(layout.row(UUID(item["id"]["S"]))) is not None:
            raise unique_conflict(layout.name, "id")
        await self._view.put(layout, None, item)
        await self._check_references(layout, item, item)
        return 1

    async def change(self, layout: Layout, change: Change, given: Given | None, bump: bool) -> int:
        """Carry out a change and return the number of rows that it met; ``bump`` raises their versions by one."""
        seen = await select(self._view, layout, change.where)
        met = seen if change.version is None else [pair for pair in seen if pair[1].version == change.version]
        if change.expected is not None and len(met) != change.expected:
            if change.version is not None and len(seen) == change.expected:
                raise StaleVersion(f"the {layout.name} was changed since it was read")
            raise NotFound(f"there is no such {layout.name}")
        for item, row in met:
            if given is None:
                if await self._view.item(layout.row(row.id)) is not None:  # a cascade may have taken it
                    await self._delete(layout, item)
            else:
                version: Given = {"version": {"N": str(row.version + 1)}} if bump and "version" not in given else {}
                await self._update(layout, item, {**given, **version})
        return len(met)

    async def _update(self, layout: Layout, item: Item, given: Given) -> None:
        changed = {name: value for name, value in {**item, **given}.items() if value is not None}
        await self._view.put(layout, item, changed)
        await self._check_references(layout, changed, given)

    async def _check_references(self, layout: Layout, item: Item, written: Iterable[str]) -> None:
        for reference in layout.outgoing:
            if reference.field not in written or reference.field not in item:
                continue
            target = self._layouts[reference.target].row(UUID(item[reference.field]["S"]))
            if not await self._view.is_there(target):
                raise reference_conflict(reference.field)

    async def _delete(self, layout: Layout, item: Item) -> None:
        await self._view.put(layout, item, None)
        for reference in layout.incoming:
            below = self._layouts[reference.entity]
            ids = await self._view.referring(below, reference.field, [item["id"]["S"]])
            if ids and reference.on_delete == "restrict":
                raise still_referenced(layout.name)
            for id_ in ids:
                child = await self._view.item(below.row(UUID(id_)))
                if child is None:
                    continue
                if reference.on_delete == "cascade":
                    await self._delete(below, child)
                else:
                    await self._update(below, child, {reference.field: None})
