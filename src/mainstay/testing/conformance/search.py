"""Search: rows by the words of their texts, the same ones in every store that has it, and none of old words."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from mainstay.model.conditions import all_of, any_of, eq, not_, search
from mainstay.testing.conformance.model import Book, Leaf, Sheet, Shelf
from mainstay.testing.conformance.world import ALICE, SUPPORT, Entities, StoreSuite, World

TEXTS: dict[str, tuple[str, str | None]] = {
    "1": ("Green Tea", "from the hills"),
    "2": ("greenhouse", None),
    "3": ("Thé vert", "A GREEN leaf, 250g"),
    "4": ("STRASSE", "ﬁne café-crème"),
    "5": ("straße", "naïve; C++ & x_y"),
    "6": ("緑茶 セット", ""),
    "7": ("", "x" * 60),
}
FOUND = [
    ("green", "123"),
    ("GREEN tea", "1"),
    ("tea green", "1"),
    ("gre te", "1"),
    ("reen", ""),
    ("green leaf 250G", "3"),
    ("the", "13"),
    ("thé", "13"),
    ("strasse", "45"),
    ("straß", "45"),
    ("fine CAFE creme", "4"),
    ("creme-cafe", "4"),
    ("naïve c x y", "5"),
    ("緑", "6"),
    ("茶 セ", "6"),
    ("x" * 40, "7"),
    ("x" * 70, "7"),
    ("y" * 41, ""),
    ("", ""),
    ("!? --", ""),
    ("'; DROP TABLE", ""),
    ("title", ""),
    ("%", ""),
    ("gr%", "123"),
    ("gr:een", ""),
]


async def sheets(world: World) -> dict[str, Sheet]:
    """Add the texts."""
    rows = [Sheet(number=number, title=title, text=text) for number, (title, text) in TEXTS.items()]
    return {row.number: row for row in await world.fill(rows)}


async def numbers(world: World, *conditions: Any, who: Any = SUPPORT, **fields: Any) -> str:
    """Return the numbers of the rows that are found, in one string."""
    return "".join(sorted(row.number for row in await world.all(Sheet, *conditions, who=who, **fields)))


class SearchConformance(StoreSuite):
    """``search(...)`` in every verb, and what writes do to it."""

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Sheet)

    async def test_rows_are_found_by_the_beginnings_of_their_words(self, world: World) -> None:
        await sheets(world)
        assert [(text, await numbers(world, search(text))) for text, _ in FOUND] == FOUND

    async def test_fields_and_other_conditions_narrow_it(self, world: World) -> None:
        made = await sheets(world)
        assert await numbers(world, search("green", "title")) == "12"
        assert await numbers(world, search("green", "text")) == "3"
        assert await numbers(world, search("green tea", "title", "text")) == "1"
        assert await numbers(world, search("green"), number=not_(eq("2"))) == "13"
        assert await numbers(world, any_of(search("tea"), number="2")) == "12"
        assert await numbers(world, all_of(search("green"), any_of(search("tea"), search("leaf")))) == "13"
        assert await numbers(world, ~search("green")) == "4567"
        async with world.query() as hands:
            page = await hands.rows(Sheet).page(search("green"), sort="-number", limit=2, count=True)
            rest = await hands.rows(Sheet).page(search("green"), sort="-number", limit=2, cursor=page.next)
            assert [row.number for row in (*page.items, *rest.items)] == ["3", "2", "1"]
            assert (page.count, rest.next) == (3, None)
            assert await hands.rows(Sheet).count(search("green")) == 3
            assert await hands.rows(Sheet).one(search("hills")) == made["1"]

    async def test_a_field_that_is_not_searchable_is_a_mistake(self, world: World) -> None:
        async with world.query() as hands:
            with pytest.raises(TypeError, match=r"Sheet\.hint is not searchable"):
                await hands.rows(Sheet).count(search("a", "hint"))
            with pytest.raises(TypeError, match="Shelf has no field search"):
                await hands.rows(Shelf).count(search("a"))

    async def test_the_row_policy_holds(self, world: World) -> None:
        await world.add(Sheet(number="1", title="tea"), Sheet(number="2", title="tea", state="secret"))
        assert await numbers(world, search("tea"), who=ALICE) == "1"
        assert await numbers(world, search("tea"), who=SUPPORT) == "12"

    async def test_a_change_takes_old_words_away(self, world: World) -> None:
        made = await sheets(world)
        async with world.command() as hands:
            rows = hands.rows(Sheet)
            row = await rows.update(made["1"], title="Black Tea")
            assert await rows.count(search("green")) == 2
            await rows.update(row, text=None, hint="green")
        for text, expected in (("green", "23"), ("black", "1"), ("hills", ""), ("tea", "1")):
            assert await numbers(world, search(text)) == expected

    async def test_what_is_rolled_back_is_not_found(self, world: World) -> None:
        made = await sheets(world)
        async with world.abandoned() as hands:
            await hands.rows(Sheet).update(made["1"], title="purple")
            await hands.rows(Sheet).add(Sheet(number="8", title="purple"))
            assert await hands.rows(Sheet).count(search("purple")) == 2
        assert await numbers(world, search("purple")) == ""
        assert await numbers(world, search("green")) == "123"

    async def test_deleted_rows_are_not_found(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t"))
        one, two = await world.add(Sheet(number="1", title="tea"), Sheet(number="2", title="tea", book_id=book.id))
        async with world.command() as hands:
            await hands.rows(Sheet).delete(one)
            await hands.rows(Book).delete(book)
        again = await world.add(Sheet(id=two.id, number="2", title="coffee"))
        assert await numbers(world, search("tea")) == ""
        assert await world.all(Sheet, search("coffee")) == again

    async def test_many_rows_at_once(self, world: World) -> None:
        await sheets(world)
        async with world.command() as hands:
            bulk = hands.bulk(Sheet)
            assert await bulk.update(search("green"), set={"title": "blue"}) == 3
            assert await bulk.update(search("blue"), set={"hint": "h"}) == 3
        assert await numbers(world, search("blue")) == "123"
        assert await numbers(world, search("green")) == "3"
        async with world.command() as hands:
            assert await hands.bulk(Sheet).delete(search("blue")) == 3
        assert await numbers(world, search("blue")) == ""

    async def test_upserts_are_found_by_what_they_come_to(self, world: World) -> None:
        await sheets(world)
        async with world.command() as hands:
            await hands.rows(Sheet).upsert(Sheet(number="1", title="blue", text="sky"), on="number", change=["title"])
            await hands.rows(Sheet).upsert(Sheet(number="8", title="blue", text="sky"), on="number")
        for text, expected in (("blue", "18"), ("green", "23"), ("hills", "1"), ("sky", "8")):
            assert await numbers(world, search(text)) == expected

    async def test_a_long_text_is_found_by_its_first_2000_words(self, world: World) -> None:
        if world.store.capabilities.max_writes is not None:
            return
        text = " ".join(f"w{n}x" for n in range(2_500))
        await world.add(Sheet(number="1", title="long", text=text))
        assert await numbers(world, search("w1999x long")) == "1"
        assert await numbers(world, search("w2000x")) == ""
