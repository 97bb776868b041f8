"""What the doorways do apart from any store: seals, bounds, references and events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.conditions import TRUE, AllOf, Compare
from mainstay.model.fields import field, related
from mainstay.model.inputs import Many, Sort
from mainstay.model.module import Module
from mainstay.model.policy import role
from mainstay.model.problem import ReferenceConflict
from mainstay.model.service import Service
from mainstay.model.structs import Entity, Event
from mainstay.model.values import UNASSIGNED
from mainstay.ports import relations
from mainstay.ports.cursor import CursorInvalid, _context, after
from mainstay.ports.events import Events
from mainstay.ports.log import Log
from mainstay.ports.observer import Notice, Observation, Observer
from mainstay.ports.relations import IncludeTooLarge
from mainstay.ports.repository import Repository
from mainstay.ports.store import Table
from mainstay.testing.conformance.model import PLANS, Book, Leaf, Shelf
from mainstay.testing.conformance.world import ALICE, SUPPORT, World, opened


class Told(Event):
    """Something that happened."""

    number: int


class Kept(Entity, rows=role("support")):
    """A row of support alone."""

    owner_id: UUID = field(references="Shown", default=UNASSIGNED)


class Shown(Entity):
    """A row that all may see, related with rows that support alone may."""

    kept: Many[Kept] = related("owner_id")


class Pointer(Entity):
    """A row that all may write, and that names a row of support."""

    kept_id: UUID | None = field(references=Kept, default=None)


def test_events_are_handed_on_in_order_with_their_keys() -> None:
    taken: list[tuple[Event, str | None]] = []
    events = Events(lambda event, key: taken.append((event, key)))
    events.emit(Told(number=1))
    events.emit(Told(number=2), key="k")
    assert taken == [(Told(number=1), None), (Told(number=2), "k")]


def test_a_line_of_the_log_carries_what_is_common_to_its_call() -> None:
    taken: list[Observation] = []

    class Listener(Observer):
        def observe(self, observation: Observation) -> None:
            taken.append(observation)

    log = Log(Listener(), {"request_id": "r"})
    for write in (log.debug, log.info, log.warning, log.error):
        write("stock_low", "few left", sku="A")
    log.info("bare")
    levels = ["debug", "info", "warning", "error"]
    assert taken == [
        *(Notice(level, "stock_low", "few left", {"request_id": "r", "sku": "A"}) for level in levels),
        Notice("info", "bare", "bare", {"request_id": "r"}),
    ]


async def test_a_cursor_whose_values_no_longer_fit_their_fields_is_refused() -> None:
    async with opened(MemoryStore()) as world:
        unit = world.unit(write=False)
        context = _context(unit.frame, PLANS[Book], (TRUE, TRUE), (Sort("rank"), Sort("id")))
        for values in (["x", str(ALICE.id)], [1], {"rank": 1}):
            text = world.sealer.seal(msgspec.json.encode(values), context)
            with pytest.raises(CursorInvalid):
                await Repository[Book](unit, PLANS[Book]).page(sort="rank", cursor=text)


def test_behind_a_row_begins_at_the_right_place_of_an_index() -> None:
    beyond = after(PLANS[Book], (Sort("title"), Sort("id")), ["t", ALICE.id])
    assert isinstance(beyond, AllOf)
    assert beyond.parts[0] == Compare("title", "ge", "t")
    assert after(PLANS[Book], (Sort("id", True),), [ALICE.id]) == Compare("id", "lt", ALICE.id)


async def test_relations_bring_no_more_than_one_answer_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "MAX_RELATED", 10)
    async with opened(MemoryStore()) as world:
        books = [Book(title="a"), Book(title="b", leaves=[Leaf(number=1)])]
        await world.add(*(Shelf(name=f"{n}", books=books) for n in range(6)))
        async with world.query() as hands:
            shelves = hands.rows(Shelf)
            assert len((await shelves.page(limit=5, include=["books"])).items) == 5
            assert len((await shelves.page(limit=3, include=["books.leaves"])).items) == 3
            with pytest.raises(IncludeTooLarge):
                await shelves.page(limit=6, include=["books"])
            with pytest.raises(IncludeTooLarge):
                await shelves.page(limit=4, include=["books.leaves"])


async def guarded() -> tuple[World, Shown, Kept]:
    """A store in which a row of support belongs to a row that all may see."""
    module = Module("guarded")
    module.entity(Kept, Shown, Pointer)
    plans = plan_entities(draw(Service("guarded", modules=[module])))
    store = MemoryStore()
    await store.start([Table(shape=plan.shape, name=plan.table, module=plan.module) for plan in plans.values()])
    world = World(store, plans)
    (shown,) = await world.add(Shown(kept=[Kept()]), who=SUPPORT)
    return world, shown, shown.kept[0]


async def test_a_relation_that_the_caller_may_not_see_is_empty() -> None:
    world, shown, kept = await guarded()
    async with world.query(ALICE) as hands:
        assert (await hands.rows(Shown).get(shown.id, include=["kept"])).kept == []
    async with world.query(SUPPORT) as hands:
        assert (await hands.rows(Shown).get(shown.id, include=["kept"])).kept == [kept]


async def test_a_row_that_the_caller_may_never_see_cannot_be_named() -> None:
    world, _, kept = await guarded()
    pointers: list[Any] = [Pointer(kept_id=kept.id), Pointer(kept_id=UUID(int=9))]
    for pointer in pointers:
        with pytest.raises(ReferenceConflict, match="kept_id names a row that is not there"):
            await world.add(pointer, who=ALICE)
    (made,) = await world.add(Pointer(), who=ALICE)
    assert made.kept_id is None
    (made,) = await world.add(pointers[0], who=SUPPORT)
    async with world.command(ALICE) as hands:
        assert (await hands.rows(Pointer).update(made, kept_id=None)).kept_id is None
        assert await hands.bulk(Pointer).update(kept_id=None, set={"kept_id": None}) == 2
