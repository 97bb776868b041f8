"""The words of rows from before: all of them, in portions, and again where a command of the service was met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstay import Entity, Module, Service, field, search
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app import indexing
from mainstay.app.indexing import index
from mainstay.model.conditions import all_of
from mainstay.model.principal import Principal
from mainstay.model.problem import SerializationConflict
from mainstay.ports.bulk import Bulk
from mainstay.ports.unit_of_work import Frame, UnitOfWork
from mainstay.testing import Client


class Text(Entity):
    """A text."""

    words: str = field(searchable=True)


class Other(Entity):
    """No text."""

    words: str


module = Module("texts")
module.entity(Text, Other)
SERVICE = Service("texts", modules=[module])


async def forget(client: Client) -> None:
    """Take all words away, as where they were never stored."""
    bound = client.bound
    ports = bound.ports
    words: Any = bound.plans[Text].words
    frame = Frame(Principal.system, "test", ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)
    unit = UnitOfWork(frame, write=True)
    await Bulk(unit, bound.plans[words]).delete(all_of())
    await unit.commit()


async def test_all_rows_get_their_words_once(tmp_path: Path) -> None:
    async with Client(SERVICE, store=SqliteStore(tmp_path / "s.sqlite", create=True)) as client:
        rows = await client.given(*(Text(words=f"number n{n:03}") for n in range(450)))
        await client.given(Other(words="number"))
        await forget(client)
        assert await client.stored(Text, search("number")) == []
        for _ in range(2):
            assert await index(client.bound) == {"Text": 450}
            assert await client.stored(Text, search("number")) == rows
            words: Any = client.bound.plans[Text].words
            assert len(await client.stored(words)) == 900


async def test_a_store_that_looks_at_the_texts_has_nothing_to_do() -> None:
    async with Client(SERVICE, store=MemoryStore()) as client:
        await client.given(Text(words="a"))
        assert await index(client.bound) == {}


@pytest.mark.parametrize("conflicts", [2, 100])
async def test_a_portion_that_met_a_command_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conflicts: int
) -> None:
    left = [conflicts]
    portion = indexing.index_portion

    async def met(*given: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise SerializationConflict("met")
        return await portion(*given)

    monkeypatch.setattr(indexing, "index_portion", met)
    async with Client(SERVICE, store=SqliteStore(tmp_path / "s.sqlite", create=True)) as client:
        await client.given(Text(words="a"))
        if conflicts == 2:
            assert await index(client.bound) == {"Text": 1}
        else:
            with pytest.raises(SerializationConflict):
                await index(client.bound)
