"""A stream made of pages, for stores in which rows may be written while one is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mainstay.model.inputs import Sort
from mainstay.model.schema import Shape
from mainstay.ports.cursor import after
from mainstay.ports.rows import Query
from mainstay.ports.unit_of_work import EntityPlan


async def in_pages(
    fetch: Callable[[Query], Awaitable[list[Any]]], shape: Shape, query: Query, size: int
) -> AsyncIterator[Any]:
    """Give the rows of a query in its order, ``size`` of them read at a time, by keyset."""
    sort = query.sort if any(by.field == "id" for by in query.sort) else (*query.sort, Sort("id"))
    plan = EntityPlan(shape=shape, table="", module="", policy=None)
    where, left = query.where, query.limit
    while left is None or left > 0:
        wanted = size if left is None else min(size, left)
        rows = await fetch(Query(where=where, sort=sort, limit=wanted))
        for row in rows:
            yield row
        if len(rows) < wanted:
            return
        left = None if left is None else left - wanted
        where = query.where & after(plan, sort, [getattr(rows[-1], by.field) for by in sort])
