"""Pages of which nobody looks at a row: kept as the store has them, and told without entities where all is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from kernel_world import ANN, MANAGER, Build, World

from mainstay import Ask, Entity, Find, Module, Page, Repository, anyone, field, role
from mainstay.adapters.memory.transaction import MemoryRows
from mainstay.kernel.call import Reply
from mainstay.ports.kept import Kept, KeptPage, plain


class Cup(Entity):
    name: str
    price: int = field(default=5, read=role("manager"))


class Plate(Entity):
    name: str


class Held(Kept[Any]):
    """Rows that note what is asked of them."""

    def __init__(self, rows: list[Any], *, tells: bool) -> None:
        self.rows = rows
        self.tells = tells
        self.asked: list[str] = []

    def __len__(self) -> int:
        return len(self.rows)

    def cut(self, size: int) -> None:
        del self.rows[size:]

    def ends_with(self, fields: Sequence[str]) -> list[Any]:
        return [getattr(self.rows[-1], name) for name in fields]

    def made(self) -> list[Any]:
        self.asked.append("made")
        return self.rows

    def told(self) -> bytes | None:
        self.asked.append("told")
        return msgspec.json.encode(self.rows) if self.tells else None


class Keeper:
    """Makes the memory store keep rows. ``held`` are those that it was asked for."""

    def __init__(self) -> None:
        self.tells = True
        self.held: list[Held] = []

    async def keep(self, rows: MemoryRows, query: Any) -> Held:
        self.held.append(Held(await rows.fetch(query), tells=self.tells))
        return self.held[-1]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    made = Keeper()

    async def keep(self: MemoryRows, query: Any) -> Any:
        return await made.keep(self, query)

    monkeypatch.setattr(MemoryRows, "keep", keep)
    return made


@pytest.fixture
async def world(build: Build, keeper: Keeper) -> World:
    module, other = Module("kitchen"), Module("hall")

    @module.command("POST /cups", allow=anyone)
    async def add_cups(cups: Repository[Cup], plates: Repository[Plate]) -> None:
        for number in range(3):
            await cups.add(Cup(name=f"cup {number}"))
            await plates.add(Plate(name=f"plate {number}"))

    @module.query("GET /cups", allow=anyone)
    async def list_cups(find: Find[Cup], cups: Repository[Cup]) -> Page[Cup]:
        return await cups.page(find)

    @module.query("GET /plates", allow=anyone)
    async def list_plates(find: Find[Plate], plates: Repository[Plate]) -> Page[Plate]:
        return await plates.page(find)

    @module.query("GET /first-plates", allow=anyone)
    async def look_at_plates(find: Find[Plate], plates: Repository[Plate]) -> Page[Plate]:
        page = await plates.page(find)
        return Page(items=page.items[:1])

    @module.query("GET /mixed-up", allow=anyone)
    async def list_others(plates: Repository[Plate]) -> Page[Cup]:
        return await plates.page()  # type: ignore[return-value]  # what is tested

    @other.query("GET /names", allow=anyone)
    async def names(ask: Ask) -> list[str]:
        page = await ask("kitchen.list_plates")
        assert type(page) is Page
        return [plate.name for plate in page.items]

    made = await build(module, other)
    assert isinstance(await made.send("add_cups"), Reply)
    return made


async def asked(world: World, name: str, *query: tuple[str, str], who: Any = None) -> Any:
    given = {} if who is None else {"credentials": who.subject.encode()}
    reply = await world.send(name, query=list(query), **given)
    assert isinstance(reply, Reply), reply
    assert reply.body is not None
    return json.loads(reply.body)


async def test_a_page_that_goes_out_as_it_is_is_told(world: World, keeper: Keeper) -> None:
    told = await asked(world, "list_plates")
    assert [row["name"] for row in told["items"]] == ["plate 0", "plate 1", "plate 2"]
    assert set(told) == {"items"}
    assert [held.asked for held in keeper.held] == [["told"]]


async def test_it_has_its_cursor_and_its_count(world: World, keeper: Keeper) -> None:
    told = await asked(world, "list_plates", ("limit", "2"), ("count", "exact"))
    assert list(told) == ["items", "next", "count"]
    assert (len(told["items"]), told["count"]) == (2, 3)
    beyond = await asked(world, "list_plates", ("limit", "2"), ("cursor", told["next"]))
    assert [row["name"] for row in beyond["items"]] == ["plate 2"]
    assert [held.asked for held in keeper.held] == [["told"], ["told"]]


async def test_where_a_store_cannot_tell_rows_are_made(world: World, keeper: Keeper) -> None:
    told = await asked(world, "list_plates")
    keeper.tells = False
    assert await asked(world, "list_plates") == told
    assert keeper.held[-1].asked == ["told", "made"]


async def test_who_is_shown_a_part_has_rows_made(world: World, keeper: Keeper) -> None:
    assert "price" not in (await asked(world, "list_cups", who=ANN))["items"][0]
    assert keeper.held[-1].asked == ["made"]
    assert (await asked(world, "list_cups", who=MANAGER))["items"][0]["price"] == 5
    assert keeper.held[-1].asked == ["told"]
    assert (await asked(world, "list_plates", ("fields", "name")))["items"][0] == {"name": "plate 0"}
    assert keeper.held[-1].asked == ["made"]


async def test_who_looks_at_a_page_has_a_plain_one(world: World, keeper: Keeper) -> None:
    assert len((await asked(world, "look_at_plates"))["items"]) == 1
    assert keeper.held == []
    assert await asked(world, "names") == ["plate 0", "plate 1", "plate 2"]
    assert keeper.held[-1].asked == ["told", "made"]


async def test_rows_of_another_entity_are_still_refused(world: World, keeper: Keeper) -> None:
    assert not isinstance(await world.send("list_others"), Reply)
    assert keeper.held == []


def test_a_kept_page_is_made_plain() -> None:
    row = Plate(id=UUID(int=1), name="a")
    made = plain(KeptPage(items=Held([row], tells=True), next="n", count=1))
    assert made == Page(items=[row], next="n", count=1)
    assert plain(made) is made
