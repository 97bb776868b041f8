"""What is read: rows by what names them, the rows that refer to others, or all rows of a table, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol
from uuid import UUID

from mainstay.adapters.dynamo.codec import Item, Value
from mainstay.adapters.dynamo.layout import OWNER, SHARDS, SORT, Key, Layout
from mainstay.adapters.dynamo.wire import Wire
from mainstay.model.conditions import AllOf, Among, Compare, Condition
from mainstay.model.schema import FieldKind
from mainstay.model.values import Secret
from mainstay.ports.rows import Query
from mainstay.ports.selection import plain, predicate
from mainstay.ports.store import BeyondStore

_AT_ONCE = 16
"""Requests of one read that are under way at the same time."""

_MANY = 256
"""Values of a reference for which its marks are asked; where there are more, all rows are read."""

_EXACT: dict[FieldKind, type] = {FieldKind.STRING: str, FieldKind.INTEGER: int, FieldKind.UUID: UUID}
"""Kinds of which a value has one form only, so that its mark is found by it."""


class Source(Protocol):
    """Where items come from: what is stored, or that as a command sees it."""

    async def items(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return the items of keys, where there are such."""

    async def referring(self, layout: Layout, field: str, targets: Sequence[str]) -> list[str]:
        """Return the ids of the rows that name one of the targets in a field."""

    async def everything(self, layout: Layout) -> list[Item]:
        """Return all rows of a table. Raises ``BeyondStore`` where there are too many."""


class Stored:
    """What is stored at the moment of each read."""

    def __init__(self, wire: Wire, max_scan: int) -> None:
        self._wire = wire
        self._max_scan = max_scan

    async def items(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return the items of keys, where there are such."""
        return await self._wire.items(keys)

    async def referring(self, layout: Layout, field: str, targets: Sequence[str]) -> list[str]:
        """Return the ids of the rows that name one of the targets in a field."""
        busy = asyncio.Semaphore(_AT_ONCE)

        async def one(target: str) -> list[str]:
            async with busy:
                partition = layout.referring(field, target)
                return [item[SORT]["S"] async for page in self._wire.partition(partition) for item in page]

        return [id_ for ids in await asyncio.gather(*map(one, targets)) for id_ in ids]

    async def everything(self, layout: Layout) -> list[Item]:
        """Return all rows of a table, those of each shard in the order of their ids."""
        found: list[Item] = []

        async def one(shard: int) -> None:
            async for page in self._wire.partition(layout.partition(shard)):
                found.extend(page)
                self.check(layout, len(found))

        await asyncio.gather(*map(one, range(SHARDS)))
        return found

    def check(self, layout: Layout, number: int) -> None:
        """Refuse to look through too many rows."""
        if number > self._max_scan:
            raise BeyondStore(
                f"this looks through more than {self._max_scan} rows of {layout.name}: "
                "name them by id, by a unique field or by a reference"
            )

    async def in_order(self, layout: Layout, query: Query, *, bounded: bool) -> AsyncGenerator[Any, None]:
        """Give the rows of a query in the order of their ids, a page of each shard in memory at a time."""
        descending, holds = query.sort[0].descending, predicate(query.where)
        beyond = _beyond(query.where, descending)
        size = None if query.limit is None else max(16, query.limit)
        shards = [
            self._wire.partition(layout.partition(shard), beyond=beyond, descending=descending, size=size)
            for shard in range(SHARDS)
        ]
        looked, given = 0, 0
        async with aclosing(_merged(shards, descending)) as items:
            async for item in items:
                looked += 1
                if bounded:
                    self.check(layout, looked)
                row = layout.codec.decode(item)
                if not holds(row):
                    continue
                if given == query.limit:
                    return
                given += 1
                yield row


def _beyond(where: Condition, descending: bool) -> str | None:
    """Return the id behind which the rows of a condition begin, where it says so."""
    wanted = "lt" if descending else "gt"
    match where:
        case Compare("id", op, UUID() as value) if op == wanted:
            return str(value)
        case AllOf(parts):
            found = (_beyond(part, descending) for part in parts)
            return next((bound for bound in found if bound is not None), None)
    return None


async def _merged(shards: Sequence[AsyncGenerator[list[Item], None]], descending: bool) -> AsyncGenerator[Item, None]:
    """Give the items of all shards in the order of their sort keys."""
    pages: list[list[Item]] = list(await asyncio.gather(*map(_page, shards)))
    try:
        while any(pages):
            choose = max if descending else min
            at = choose((n for n, page in enumerate(pages) if page), key=lambda n: pages[n][-1][SORT]["S"])
            yield pages[at].pop()
            if not pages[at]:
                pages[at] = await _page(shards[at])
    finally:
        for shard in shards:
            await shard.aclose()


async def _page(shard: AsyncGenerator[list[Item], None]) -> list[Item]:
    """Return the next items of a shard, the first one last; none where it has ended."""
    async for page in shard:
        if page:
            page.reverse()
            return page
    return []


async def select(source: Source, layout: Layout, where: Condition) -> list[tuple[Item, Any]]:
    """Return the rows of which a condition is true, each with its item, in the order of their ids."""
    near = await _near(source, layout, where)
    items = await source.everything(layout) if near is None else near
    holds = predicate(where)
    found = [(item, row) for item in items if holds(row := layout.codec.decode(item))]
    found.sort(key=lambda pair: pair[0][SORT]["S"])
    return found


async def _near(source: Source, layout: Layout, where: Condition) -> list[Item] | None:
    """Return the few rows among which those of a condition are, where what is stored beside the rows tells them."""
    parts = where.parts if isinstance(where, AllOf) else (where,)
    for part in parts:
        ids = _ids(part)
        if ids is not None:
            return await _rows(source, layout, ids)
    mark = next(_marks(layout, parts), None)
    if mark is not None:
        owner = (await source.items([mark])).get(mark)
        return [] if owner is None else await _rows(source, layout, [UUID(owner[OWNER]["S"])])
    for part in parts:
        reference = _reference(layout, part)
        if reference is not None:
            ids = [UUID(id_) for id_ in await source.referring(layout, *reference)]
            return await _rows(source, layout, ids)
    return None


async def _rows(source: Source, layout: Layout, ids: Iterable[UUID]) -> list[Item]:
    keys = [layout.row(id_) for id_ in dict.fromkeys(ids)]
    return list((await source.items(keys)).values()) if keys else []


def _ids(part: Condition) -> list[UUID] | None:
    match part:
        case Compare("id", "eq", UUID() as value):
            return [value]
        case Among("id", members):
            return [member for member in members if isinstance(member, UUID)]
    return None


def _marks(layout: Layout, parts: Iterable[Condition]) -> Iterator[Key]:
    """Give where the marks stand of unique values that a condition names with all that they are unique within."""
    given: dict[str, Value] = {}
    kept = layout.unique.unless is None
    for part in parts:
        match part:
            case Compare(field, "eq", None):
                kept = kept or field == layout.unique.unless
            case Compare(field, "eq", value) if field in layout.fields:
                held = plain(value) if isinstance(value, Secret) else value
                if type(held) is _EXACT.get(layout.fields[field].attribute.kind):
                    given.setdefault(field, layout.fields[field].encode(value))
    for field in layout.unique.fields:
        columns = layout.unique.columns(field)
        if kept and given.keys() >= set(columns):
            yield layout.taken(field, *(given[column] for column in columns))


def _reference(layout: Layout, part: Condition) -> tuple[str, list[str]] | None:
    fields = {reference.field for reference in layout.outgoing}
    match part:
        case Compare(field, "eq", UUID() as value) if field in fields:
            return field, [str(value)]
        case Among(field, members) if field in fields and None not in members and len(members) <= _MANY:
            return field, [str(member) for member in dict.fromkeys(members)]
    return None
