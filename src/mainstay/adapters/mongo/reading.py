"""What is read of one table, by the filter, the order and the pipeline that the port's words come to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from mainstay.adapters.mongo.codec import Document, sum_of
from mainstay.adapters.mongo.filters import comparable, filter_of, ordered
from mainstay.adapters.mongo.layout import Layout
from mainstay.model.conditions import Condition
from mainstay.model.inputs import Sort
from mainstay.model.schema import FieldKind
from mainstay.ports.rows import Aggregate, Query

BATCH = 500
_NUMBER = "#number"  # no field has such a name
_COUNTED = {"$sum": 1, "window": {"documents": ["unbounded", "current"]}}  # $documentNumber takes one sort key only


def order_of(layout: Layout, sort: Sequence[Sort]) -> dict[str, int]:
    """Return an order as the server takes it; null, which is left out, sorts before every value."""
    made: dict[str, int] = {}
    for by in sort:
        path = ordered(comparable(layout.fields, by.field)).path
        made.setdefault(path, -1 if by.descending else 1)
    return made


def without(layout: Layout, unread: Iterable[str] = ()) -> dict[str, int] | None:
    """Return what leaves the words of searchable fields in the store, and the fields that are not read."""
    return dict.fromkeys((*layout.words, *(layout.fields[name].path for name in unread)), 0) or None


async def fetch(
    collection: AsyncCollection[Document], layout: Layout, query: Query, session: AsyncClientSession | None
) -> list[Document]:
    """Return the documents that a query asks for."""
    if query.limit == 0:  # which the server takes for no limit
        return []
    if query.per is not None:
        return await _numbered(collection, layout, query, session)
    wanted, left_out = filter_of(query.where, layout.fields), without(layout, query.unread)
    cursor = collection.find(wanted, left_out, session=session, allow_disk_use=True)
    sort = order_of(layout, query.sort)
    if sort:
        cursor = cursor.sort(list(sort.items()))
    if query.limit is not None:
        cursor = cursor.limit(query.limit)
    async with cursor:
        return await cursor.to_list()


async def _numbered(
    collection: AsyncCollection[Document], layout: Layout, query: Query, session: AsyncClientSession | None
) -> list[Document]:
    """Return the first documents of each value of a field."""
    sort = order_of(layout, query.sort) or {"_id": 1}
    pipeline: list[Document] = [{"$match": filter_of(query.where, layout.fields)}]
    if query.limit is not None:
        by = f"${comparable(layout.fields, query.per or 'id').path}"
        window = {"partitionBy": by, "sortBy": sort, "output": {_NUMBER: _COUNTED}}
        pipeline += [{"$setWindowFields": window}, {"$match": {_NUMBER: {"$lte": query.limit}}}]
    pipeline += [{"$sort": sort}, {"$unset": [_NUMBER, *layout.words]}]
    async with await collection.aggregate(pipeline, session=session, allowDiskUse=True) as cursor:
        return await cursor.to_list()


async def stream(
    collection: AsyncCollection[Document], layout: Layout, query: Query, session: AsyncClientSession
) -> AsyncGenerator[Document, None]:
    """Give the documents that a query asks for, a batch in memory at a time."""
    cursor = collection.find(
        filter_of(query.where, layout.fields),
        without(layout),
        session=session,
        batch_size=BATCH,
        allow_disk_use=True,
    )
    sort = order_of(layout, query.sort)
    if sort:
        cursor = cursor.sort(list(sort.items()))
    if query.limit is not None:
        cursor = cursor.limit(query.limit)
    async with cursor:
        async for document in cursor:
            yield document


async def count(
    collection: AsyncCollection[Document], layout: Layout, where: Condition, session: AsyncClientSession | None
) -> int:
    """Return how many documents there are."""
    return await collection.count_documents(filter_of(where, layout.fields), session=session)


async def aggregate(
    collection: AsyncCollection[Document], layout: Layout, asked: Aggregate, session: AsyncClientSession | None
) -> list[tuple[Any, ...]]:
    """Return the figures that are asked for."""
    by = [ordered(comparable(layout.fields, name)) for name in asked.by]
    group: Document = {"_id": {f"b{n}": {"$ifNull": [f"${field.path}", None]} for n, field in enumerate(by)} or None}
    for n, (function, name) in enumerate(asked.measures):
        group |= _measured(layout, n, function, name)
    pipeline: list[Document] = [{"$match": filter_of(asked.where, layout.fields)}, {"$group": group}]
    if by:
        pipeline.append({"$sort": {f"_id.b{n}": 1 for n in range(len(by))}})
    if asked.limit is not None:
        pipeline.append({"$limit": asked.limit})
    async with await collection.aggregate(pipeline, session=session, allowDiskUse=True) as cursor:
        found = await cursor.to_list()
    if not found and not by:
        found = [{}]
    return [_figures(layout, asked, document) for document in found]


def _measured(layout: Layout, n: int, function: str, name: str | None) -> Document:
    """Return the accumulators of a measure. A sum is made of decimals: it is exact beyond 64 bits."""
    if name is None:
        return {f"m{n}": {"$sum": 1}}
    field = layout.fields[name]
    value = f"${field.path}"
    there = {"$sum": {"$cond": [{"$gt": [value, None]}, 1, 0]}}
    if function == "count":
        return {f"m{n}": there}
    if function != "sum":
        ordered(field)
        return {f"m{n}": {f"${function}": value}}
    summed: Any = value if field.attribute.kind is FieldKind.FLOAT else {"$toDecimal": value}
    return {f"m{n}": {"$sum": summed}, f"n{n}": there}


def _figures(layout: Layout, asked: Aggregate, document: Document) -> tuple[Any, ...]:
    key = document.get("_id") or {}
    found: list[Any] = []
    for n, grouped in enumerate(asked.by):
        stored = key.get(f"b{n}")
        found.append(None if stored is None else layout.fields[grouped].decode(stored))
    for n, (function, name) in enumerate(asked.measures):
        stored = document.get(f"m{n}")
        if name is None or function == "count":
            found.append(int(stored or 0))
        elif function == "sum":
            found.append(sum_of(layout.fields[name], stored) if document.get(f"n{n}") else None)
        else:
            found.append(None if stored is None else layout.fields[name].decode(stored))
    return tuple(found)
