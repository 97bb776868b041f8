"""Writes inside a transaction, under the rules that this adapter keeps for the server: references and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from mainstay.adapters.mongo import reading
from mainstay.adapters.mongo.codec import Document
from mainstay.adapters.mongo.faults import told
from mainstay.adapters.mongo.filters import filter_of
from mainstay.adapters.mongo.guards import ReadSet
from mainstay.adapters.mongo.layout import Layout
from mainstay.model.problem import NotFound, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.links import Incoming
from mainstay.ports.rows import Change, reference_conflict, still_referenced

_IDS = 10_000  # named in one filter, which is bounded in bytes


class Insert(NamedTuple):
    """Documents to be inserted."""

    layout: Layout
    documents: list[Document]

    async def run(self, writer: Writer) -> int:
        """Insert the documents."""
        await writer.insert(self.layout, self.documents)
        return len(self.documents)


class Alteration(NamedTuple):
    """A change, with the update that it comes to: what the caller does to its values since does not matter."""

    layout: Layout
    change: Change
    update: dict[str, Document]

    async def run(self, writer: Writer) -> int:
        """Carry the change out, and return how many rows it met."""
        if self.change.changes is None:
            return await writer.delete(self.layout, self.change)
        return await writer.update(self.layout, self.change, self.update)


def alteration(layout: Layout, change: Change, *, bump: bool) -> Alteration:
    """Return a change as it is queued; ``bump`` raises the versions where the changes say nothing of them."""
    update = layout.codec.changes(change.changes or {})
    if bump and change.changes is not None and "version" not in change.changes:
        update["$inc"] = {"version": 1}
    return Alteration(layout, change, update)


class Writer:
    """Carries writes out in one session, and notes what they rest on."""

    __slots__ = ("_database", "_layouts", "seen", "session")

    def __init__(
        self,
        database: AsyncDatabase[Document],
        session: AsyncClientSession,
        layouts: Mapping[type[Entity], Layout],
        seen: ReadSet,
    ) -> None:
        self._database = database
        self.session: AsyncClientSession = session
        self._layouts = layouts
        self.seen: ReadSet = seen

    def _collection(self, layout: Layout) -> AsyncCollection[Document]:
        return self._database[layout.collection]

    async def insert(self, layout: Layout, documents: Sequence[Document]) -> None:
        """Insert documents. Raises ``UniqueConflict`` and ``ReferenceConflict``."""
        for reference in layout.outgoing:
            path = layout.fields[reference.field].path
            named = {document[path] for document in documents if path in document}
            if reference.target is layout.entity:
                named -= {document["_id"] for document in documents}
            await self._check_reference(reference.field, self._layouts[reference.target], named)
        self.seen.added(layout, documents)
        with told(layout):
            await self._collection(layout).insert_many(documents, session=self.session)

    async def update(self, layout: Layout, change: Change, update: dict[str, Document]) -> int:
        """Update what a change is of. Raises what ``insert`` raises, ``StaleVersion`` and ``NotFound``."""
        given = change.changes or {}
        for reference in layout.outgoing:
            if given.get(reference.field) is not None:
                await self._check_reference(reference.field, self._layouts[reference.target], {given[reference.field]})
        wanted = self._filter(layout, change)
        with told(layout):
            if update:
                done = await self._collection(layout).update_many(wanted, update, session=self.session)
                met = done.matched_count
            else:
                met = await self._collection(layout).count_documents(wanted, session=self.session)
        await self._check_met(layout, change, met)
        return met

    async def delete(self, layout: Layout, change: Change) -> int:
        """Delete what a change is of, with what that does to others. Raises ``ReferenceConflict`` too."""
        wanted = self._filter(layout, change)
        with told(layout):
            if not layout.incoming:
                done = await self._collection(layout).delete_many(wanted, session=self.session)
                met = done.deleted_count
                await self._check_met(layout, change, met)
                return met
            ids = await self._ids(layout, wanted)
        await self._check_met(layout, change, len(ids))
        await self._delete(layout, ids)
        return len(ids)

    def _filter(self, layout: Layout, change: Change) -> Document:
        wanted = filter_of(change.where, layout.fields)
        return wanted if change.version is None else {"$and": [wanted, {"version": change.version}]}

    async def _check_reference(self, field: str, target: Layout, named: set[UUID]) -> None:
        """Refuse ids that name no row.

        The rows are not touched: a delete of one looks for rows that refer to it, and so meets who writes such.
        """
        ids = list(named)
        with told(target):
            for start in range(0, len(ids), _IDS):
                part = ids[start : start + _IDS]
                if len(await self._ids(target, {"_id": {"$in": part}})) != len(part):
                    raise reference_conflict(field)

    async def _check_met(self, layout: Layout, change: Change, met: int) -> None:
        self.seen.wrote(layout, () if change.id is None else (change.id,))
        if change.id is None:
            self.seen.met(layout, change.where, met)
        if change.expected is None or met == change.expected:
            return
        with told(layout):
            seen = await reading.count(self._collection(layout), layout, change.where, self.session)
        if change.version is not None and seen == change.expected:
            raise StaleVersion(f"the {layout.name} was changed since it was read")
        raise NotFound(f"there is no such {layout.name}")

    async def _ids(self, layout: Layout, wanted: Document) -> list[UUID]:
        cursor = self._collection(layout).find(wanted, {"_id": 1}, session=self.session)
        async with cursor:
            return [document["_id"] for document in await cursor.to_list()]

    async def _delete(self, layout: Layout, ids: Sequence[UUID]) -> None:
        for start in range(0, len(ids), _IDS):
            part = list(ids[start : start + _IDS])
            with told(layout):
                await self._collection(layout).delete_many({"_id": {"$in": part}}, session=self.session)
        for start in range(0, len(ids), _IDS):
            for reference in layout.incoming:
                await self._follow(layout, reference, list(ids[start : start + _IDS]))

    async def _follow(self, layout: Layout, reference: Incoming, ids: list[UUID]) -> None:
        """Do to the rows that refer to deleted ones what their field declares."""
        below = self._layouts[reference.entity]
        path = below.fields[reference.field].path
        self.seen.looked.add(below)
        with told(below):
            children = await self._ids(below, {path: {"$in": ids}})
            if not children:
                return
            if reference.on_delete == "restrict":
                raise still_referenced(layout.name)
            self.seen.wrote(below)
            if reference.on_delete == "cascade":
                await self._delete(below, children)
            else:
                await self._collection(below).update_many(
                    {path: {"$in": ids}}, {"$unset": {path: ""}}, session=self.session
                )

    async def guard(self, guards: AsyncCollection[Document], touch: str, slot: int) -> bool:
        """Write what makes the command serialisable. Returns whether all guards are there."""
        self.seen.settle()
        for layout, path, values in self.seen.touched():
            with told(layout):
                await self._collection(layout).update_many(
                    {path: {"$in": values}}, {"$inc": {touch: 1}}, session=self.session
                )
        wanted = self.seen.guards(slot)
        with told(next(iter(self.seen.written))):
            done: Any = await guards.update_many({"_id": {"$in": wanted}}, {"$inc": {"n": 1}}, session=self.session)
        return bool(done.matched_count == len(wanted))
