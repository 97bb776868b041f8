"""Pages: every order, walked by cursors, with no row twice and none missing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from mainstay.model.conditions import all_of, ge, in_, lt
from mainstay.model.inputs import Find, Page, Sort
from mainstay.model.principal import Principal
from mainstay.ports.cursor import CursorInvalid
from mainstay.ports.kept import plain
from mainstay.ports.repository import Repository
from mainstay.testing.conformance.model import Book, Colour, Reader, Shelf
from mainstay.testing.conformance.world import ALICE, BOB, Entities, Hands, StoreSuite, World

ORDERS = [
    "rank",
    "-rank",
    "title",
    "-title",
    "colour,rank",
    "-colour,rank",
    "colour,-rank",
    "-colour,-rank",
    "-available,colour,-rank,title",
    "id",
    "-id",
    "-created_at",
    "rank,-id",
    "price,-rank",
]


def rank(value: Any) -> tuple[bool, Any]:
    """Null before every value."""
    return value is not None, value


def in_order(rows: list[Any], order: str) -> list[Any]:
    """Return rows in an order, by id where they are equal in it."""
    rows = sorted(rows, key=lambda row: row.id)
    for part in reversed(order.split(",")):
        values = {row.id: rank(getattr(row, part.lstrip("-"))) for row in rows}
        rows.sort(key=lambda row: values[row.id], reverse=part.startswith("-"))
    return rows


async def walk(hands: Hands, entity: Any, **asked: Any) -> list[Any]:
    """Return the rows of all pages of a search."""
    found: list[Any] = []
    cursor = None
    while True:
        page = await hands.rows(entity).page(cursor=cursor, **asked)
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == asked["limit"]
        cursor = page.next


async def books(world: World, count: int = 40) -> list[Book]:
    """Add books with many equal and many null values."""
    (shelf,) = await world.add(Shelf(name="s"))
    made = []
    for n in range(count):
        world.clock.advance(n % 3)
        made += await world.add(
            Book(
                shelf_id=shelf.id,
                title=f"t{n * 7 % 11}",
                rank=None if n % 4 == 0 else n * 5 % 7,
                colour=(None, Colour.RED, Colour.BLUE)[n % 3],
                available=n % 2 == 0,
            )
        )
    return made


class PagingConformance(StoreSuite):
    """page, with sort, limit, cursor and count."""

    entities: ClassVar[Entities] = (Shelf, Book, Reader)

    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_put_together_are_the_whole_in_order(self, world: World, order: str) -> None:
        expected = in_order(await books(world), order)
        async with world.query() as hands:
            for limit in (1, 7, 40):
                assert await walk(hands, Book, sort=order, limit=limit) == expected
            assert (await hands.rows(Book).page(sort=order)).items == expected

    async def test_texts_are_in_the_order_of_their_code_points(self, world: World) -> None:
        names = ["", " ", "B", "Z", "a", "aa", "b", "z", "ß", "é", "日", "\uffff", "🦉"]
        await world.add(*(Reader(name=name) for name in reversed(names)))
        async with world.query() as hands:
            assert [row.name for row in await walk(hands, Reader, sort="name", limit=3)] == names

    async def test_a_page_says_whether_there_is_more_and_how_many_there_are(self, world: World) -> None:
        made = await books(world, 5)
        async with world.query() as hands:
            first = await hands.rows(Book).page(limit=3, count=True)
            last = await hands.rows(Book).page(limit=3, cursor=first.next, count=True)
            exact = await hands.rows(Book).page(limit=5)
        assert (first.items, first.count) == (made[:3], 5)
        assert (last.items, last.next, last.count) == (made[3:], None, 5)
        assert (exact.next, exact.count) == (None, None)

    async def test_an_empty_page(self, world: World) -> None:
        async with world.query() as hands:
            page = await hands.rows(Book).page(count=True, sort="-rank")
        assert (page.items, page.next, page.count) == ([], None, 0)

    async def test_a_find_brings_what_the_caller_asked_and_conditions_narrow_it(self, world: World) -> None:
        made = await books(world)

        find: Find[Book] = Find(condition=all_of(available=True), sort=(Sort("rank", True),), limit=4, count=True)
        expected = in_order([b for b in made if b.available and b.rank is not None and b.rank >= 2], "-rank")
        async with world.query() as hands:
            page = await hands.rows(Book).page(find, rank=ge(2))
            following = await hands.rows(Book).page(find, rank=ge(2), cursor=page.next)
        assert (page.items, page.count) == (expected[:4], len(expected))
        assert following.items == expected[4:8]

    async def test_at_most_200_rows_come_at_once(self, world: World) -> None:
        await world.fill([Reader(name="r") for _ in range(203)])
        async with world.query() as hands:
            assert len((await hands.rows(Reader).page()).items) == 50
            page = await hands.rows(Reader).page(limit=1000)
            assert len(page.items) == 200
            assert len((await hands.rows(Reader).page(limit=1000, cursor=page.next)).items) == 3

    async def test_a_cursor_is_good_for_the_same_search_however_it_is_built(self, world: World) -> None:
        made = await books(world)
        expected = [book for book in made if book.rank in (1, 2, 3)]
        async with world.query() as hands:
            assert await walk(hands, Book, rank=in_(1, 2, 3), limit=2) == expected

    @pytest.mark.parametrize(
        "other",
        [
            {"sort": "rank"},
            {"sort": "-title"},
            {"find": Find(sort=(Sort("title"),))},
            {"rank": ge(1)},
            {"title": lt("t1")},
        ],
        ids=repr,
    )
    async def test_a_cursor_of_another_search_is_refused(self, world: World, other: dict[str, Any]) -> None:
        await books(world, 3)
        find = other.get("find")
        async with world.query() as hands:
            cursor = (await hands.rows(Book).page(limit=1)).next
            with pytest.raises(CursorInvalid):
                await hands.rows(Book).page(
                    find, limit=1, cursor=cursor, **{k: v for k, v in other.items() if k != "find"}
                )

    async def test_a_cursor_is_bound_to_filters_operation_and_tenant(self, world: World) -> None:

        await books(world, 3)
        async with world.query() as hands:
            cursor = (await hands.rows(Book).page(Find(condition=all_of(available=True)), limit=1)).next
        tenant = Principal(id=ALICE.id, tenant="acme")
        find: Find[Book] = Find(condition=all_of(available=True))
        for who, operation, asked in (
            (ALICE, "test", Find(condition=all_of(available=False))),
            (ALICE, "other", find),
            (tenant, "test", find),
        ):
            async with world.query(who, operation=operation) as hands:
                with pytest.raises(CursorInvalid):
                    await hands.rows(Book).page(asked, limit=1, cursor=cursor)
        async with world.query(BOB) as hands:
            assert len((await hands.rows(Book).page(find, limit=1, cursor=cursor)).items) == 1

    @pytest.mark.parametrize(
        "cursor", ["x", "", "AAAA", "💥", "a" * 5000], ids=["x", "empty", "zeros", "emoji", "long"]
    )
    async def test_what_is_no_cursor_is_refused(self, world: World, cursor: str) -> None:
        await books(world, 3)
        async with world.query() as hands:
            with pytest.raises(CursorInvalid):
                await hands.rows(Book).page(cursor=cursor)
            with pytest.raises(CursorInvalid):
                await hands.rows(Book).page(Find(cursor=cursor))

    @pytest.mark.parametrize("order", ["id", "-created_at", "-rank,title", "published", "price,-isbn"])
    async def test_a_page_that_nobody_looks_at_is_told_as_its_rows_are_written(self, world: World, order: str) -> None:
        made = await books(world, 9)
        shelf, when = made[0].shelf_id, datetime(1900, 2, 3, 4, 5, 6, 120_000, UTC)
        odd = Book(shelf_id=shelf, title='a "b"\\\n\u00e9\U0001f600', isbn=",", price=Decimal("0.10"), published=when)
        await world.add(odd, Book(shelf_id=shelf, title="", published=when.replace(microsecond=0)))
        world.clock.advance(5.25)
        async with world.command() as hands:
            await hands.rows(Book).update(made[3], rank=9)
        cursor = None
        for _ in range(3):
            async with world.query() as hands:
                plainly = await hands.rows(Book).page(sort=order, limit=4, cursor=cursor)
                keeping = Repository[Book](hands.unit, hands.unit.frame.plans[Book], keeps=True)
                found: Any = await keeping.page(sort=order, limit=4, cursor=cursor)
            cursor = plainly.next
            assert plain(found) == plainly
            assert type(found) is Page or found.items.told() in (None, msgspec.json.encode(plainly.items))
        assert cursor is None

    @pytest.mark.parametrize("order", ["rank", "-rank", "-colour,rank"])
    async def test_what_changes_between_two_pages_neither_repeats_nor_hides_a_row(
        self, world: World, order: str
    ) -> None:
        made = await books(world, 30)
        shelf = made[0].shelf_id
        stay = [row for n, row in enumerate(made) if n % 5]
        gone = [row for n, row in enumerate(made) if n % 5 == 0]
        seen: list[Any] = []
        cursor = None
        for step in range(100):
            async with world.query() as hands:
                page = await hands.rows(Book).page(sort=order, limit=2, cursor=cursor)
            seen += page.items
            if page.next is None:
                break
            cursor = page.next
            async with world.command() as hands:
                await hands.rows(Book).add(Book(shelf_id=shelf, title="new", rank=step % 7 if step % 3 else None))
                if gone:
                    await hands.rows(Book).delete(gone.pop().id)
        ids = [row.id for row in seen]
        assert len(ids) == len(set(ids))
        assert [row for row in seen if row in stay] == in_order(stay, order)
