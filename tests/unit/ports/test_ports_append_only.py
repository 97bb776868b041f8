"""Rows that are only added: no verb of a doorway changes or deletes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mainstay import Bulk, Entity, Module, Repository, Service, all_of, anyone, field
from mainstay.testing import Client


class Entry(Entity, append_only=True):
    text: str = field(unique=True, max_length=50)


Verb = Callable[[Repository[Entry], Bulk[Entry], Entry], Awaitable[Any]]

VERBS: dict[str, Verb] = {
    "update": lambda rows, _bulk, row: rows.update(row, text="other"),
    "delete": lambda rows, _bulk, row: rows.delete(row),
    "delete by id": lambda rows, _bulk, row: rows.delete(row.id),
    "upsert": lambda rows, _bulk, row: rows.upsert(Entry(text=row.text), on="text"),
    "update many": lambda _rows, bulk, _row: bulk.update(all_of(), set={"text": "other"}),
    "delete many": lambda _rows, bulk, _row: bulk.delete(all_of()),
    "upsert many": lambda _rows, bulk, row: bulk.upsert([Entry(text=row.text)], on="text"),
}


def journal(verb: Verb | None) -> Service:
    module = Module("journal")

    @module.command("POST /entries", allow=anyone)
    async def write(text: str, rows: Repository[Entry], bulk: Bulk[Entry]) -> int:
        row = await rows.add(Entry(text=text))
        await bulk.add_all([Entry(text=f"{text} more")])
        if verb is not None:
            await verb(rows, bulk, row)
        return await rows.count()

    return Service("journal", modules=[module])


@pytest.mark.parametrize("name", list(VERBS))
async def test_it_is_refused(name: str) -> None:
    async with Client(journal(VERBS[name])) as client:
        with pytest.raises(TypeError, match="Entry is append-only"):
            await client.post("/entries", json={"text": "a"})
        assert await client.stored(Entry) == []


async def test_rows_are_added_and_read() -> None:
    async with Client(journal(None)) as client:
        assert (await client.post("/entries", json={"text": "a"})).json == 2
        assert [row.text for row in await client.stored(Entry)] == ["a", "a more"]
