"""Conditions: each operator on each kind of value, with nulls, and put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from mainstay.model.conditions import (
    FALSE,
    TRUE,
    CompareFields,
    Condition,
    all_of,
    any_of,
    contains,
    eq,
    ge,
    gt,
    in_,
    le,
    lt,
    ne,
    not_,
    starts_with,
)
from mainstay.ports.store import BeyondStore
from mainstay.testing.conformance.model import Book, Colour, Everything, Grade, Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))

ONE_FIELD: list[tuple[Mapping[str, Any], str]] = [
    ({"title": "b"}, "b"),
    ({"title": eq("b")}, "b"),
    ({"title": ne("b")}, "acd"),
    ({"title": in_("a", "d", "z")}, "ad"),
    ({"title": in_()}, ""),
    ({"title": not_(in_("a", "d"))}, "bc"),
    ({"title": gt("b")}, "cd"),
    ({"title": not_("b")}, "acd"),
    ({"rank": 1}, "a"),
    ({"rank": gt(1)}, "bc"),
    ({"rank": ge(1)}, "abc"),
    ({"rank": lt(2)}, "a"),
    ({"rank": le(2)}, "ab"),
    ({"rank": ne(2)}, "ac"),
    ({"rank": in_(1, 3, None)}, "acd"),
    ({"rank": not_(in_(1, None))}, "bc"),
    ({"rank": None}, "d"),
    ({"rank": eq(None)}, "d"),
    ({"rank": ne(None)}, "abc"),
    ({"rank": not_(None)}, "abc"),
    ({"rank": gt(0) & lt(3)}, "ab"),
    ({"rank": lt(2) | gt(2)}, "ac"),
    ({"rank": ~lt(2)}, "bcd"),
    ({"rank": ~(gt(0) & lt(3))}, "cd"),
    ({"rank": not_(ne(2))}, "bd"),
    ({"rank": not_(in_(1, 2))}, "cd"),
    ({"price": Decimal("1.5")}, "b"),
    ({"price": ge(Decimal("1.50"))}, "bcd"),
    ({"price": lt(Decimal("1.505"))}, "ab"),
    ({"price": gt(Decimal("1.495"))}, "bcd"),
    ({"price": Decimal("1.505")}, ""),
    ({"price": ne(Decimal("1.505"))}, "abcd"),
    ({"price": in_(Decimal("0.99"), Decimal("100"))}, "ad"),
    ({"price": ge(2)}, "cd"),
    ({"published": NOON.astimezone(EAST)}, "b"),
    ({"published": gt(NOON)}, "c"),
    ({"published": le(NOON)}, "ab"),
    ({"published": ge(datetime(1, 1, 1, tzinfo=EAST))}, "abc"),
    ({"published": le(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=2))))}, "abc"),
    ({"colour": Colour.RED}, "ac"),
    ({"colour": ne(Colour.RED)}, "b"),
    ({"colour": in_(Colour.RED, Colour.BLUE)}, "abc"),
    ({"available": True}, "acd"),
    ({"available": not_(True)}, "b"),
    ({"available": False}, "b"),
]


async def library(world: World) -> list[Book]:
    """Add four books, of which the last has nulls where it may."""
    (shelf,) = await world.add(Shelf(name="s"))
    return await world.add(
        Book(
            shelf_id=shelf.id,
            title="a",
            rank=1,
            price=Decimal("0.99"),
            published=NOON - timedelta(microseconds=1),
            colour=Colour.RED,
            code="a",
        ),
        Book(
            shelf_id=shelf.id,
            title="b",
            rank=2,
            price=Decimal("1.50"),
            published=NOON,
            colour=Colour.BLUE,
            available=False,
            code="a",
        ),
        Book(
            shelf_id=shelf.id,
            title="c",
            rank=3,
            price=Decimal("10.00"),
            published=NOON + timedelta(microseconds=1),
            colour=Colour.RED,
            code="c",
        ),
        Book(shelf_id=shelf.id, title="d", price=Decimal("100.00"), code=""),
    )


class FiltersConformance(StoreSuite):
    """What each condition is true of."""

    entities: ClassVar[Entities] = (Shelf, Book, Everything)

    @pytest_asyncio.fixture
    async def books(self, world: World) -> list[Book]:
        """Four books."""
        return await library(world)

    @pytest.mark.usefixtures("books")
    @pytest.mark.parametrize(("asked", "expected"), ONE_FIELD, ids=lambda value: repr(value)[:40])
    async def test_one_field(self, world: World, asked: Mapping[str, Any], expected: str) -> None:
        async with world.query() as hands:
            found = [row.title async for row in hands.rows(Book).stream(sort="title", **asked)]
            assert await hands.rows(Book).count(**asked) == len(expected)
        assert "".join(found) == expected

    @pytest.mark.usefixtures("books")
    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (TRUE, "abcd"),
            (FALSE, ""),
            (~TRUE, ""),
            (all_of(), "abcd"),
            (any_of(), ""),
            (any_of(title="a", rank=2), "ab"),
            (any_of({"title": "a", "rank": 2}, {"title": "c", "rank": 3}), "c"),
            (all_of(any_of(title="a", rank=2), available=True), "a"),
            (~any_of(title="a", rank=2), "cd"),
            (~all_of(rank=ge(2), available=True), "abd"),
            (all_of(rank=1) & FALSE, ""),
            (all_of(rank=1) | TRUE, "abcd"),
            (~~all_of(rank=1), "a"),
            (CompareFields("title", "eq", "code"), "ac"),
            (CompareFields("title", "gt", "code"), "bd"),
            (CompareFields("title", "ne", "isbn"), ""),
            (~CompareFields("title", "ne", "isbn"), "abcd"),
        ],
        ids=lambda value: repr(value)[:60],
    )
    async def test_conditions_put_together(self, world: World, condition: Condition, expected: str) -> None:
        async with world.query() as hands:
            page = await hands.rows(Book).page(condition, sort="title")
            assert await hands.rows(Book).count(condition) == len(expected)
        assert "".join(row.title for row in page.items) == expected

    async def test_texts_are_matched_as_they_stand(self, world: World) -> None:
        texts = ["50%", "50 %", "a_b", "axb", "a\\b", "A", "a", "*", "[a]", "", "é", "e\u0301", "🦉", "'", '"', ";--"]
        await world.add(*(Everything(maybe=text) for text in (*texts, None)))
        for text in texts:
            async with world.query() as hands:
                assert [r.maybe async for r in hands.rows(Everything).stream(maybe=text)] == [text]
                held = [r.maybe async for r in hands.rows(Everything).stream(maybe=contains(text))]
                begun = [r.maybe async for r in hands.rows(Everything).stream(maybe=starts_with(text))]
                others = await hands.rows(Everything).count(maybe=not_(contains(text)))
            assert held == [t for t in texts if text in t]
            assert begun == [t for t in texts if t.startswith(text)]
            assert others == 1 + len(texts) - len(held)

    async def test_an_enum_of_numbers_is_compared_by_its_value(self, world: World) -> None:
        low, high, none = await world.add(*(Everything(grade=grade) for grade in (Grade.LOW, Grade.HIGH, None)))
        assert await world.all(Everything, grade=Grade.HIGH) == [high]
        assert await world.all(Everything, grade=gt(Grade.LOW)) == [high]
        assert await world.all(Everything, grade=not_(Grade.HIGH)) == [low, none]

    async def test_integers_are_compared_to_the_last_of_64_bits(self, world: World) -> None:
        edges = [-(2**63), -(2**53) - 1, 0, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1]
        await world.add(*(Everything(count=edge) for edge in edges))
        for edge in edges:
            assert [row.count for row in await world.all(Everything, count=edge)] == [edge]
            assert [row.count for row in await world.all(Everything, count=gt(edge))] == [e for e in edges if e > edge]

    async def test_bytes_have_an_order_where_the_store_gives_them_one(self, world: World) -> None:
        held = [b"", b"\x00", b"a", b"a\x00", b"aa", b"b", b"\xff"]
        await world.add(*(Everything(data=data) for data in reversed(held)))
        async with world.query() as hands:
            rows, figures = hands.rows(Everything), hands.figures(Everything)
            assert await rows.count(data=in_(b"a", b"aa", b"c")) == 2
            assert await rows.count(data=ne(b"a")) == len(held) - 1
            if world.store.capabilities.ordered_bytes:
                assert [row.data for row in (await rows.page(sort="data")).items] == held
                assert await rows.count(data=gt(b"a")) == 4
                assert await figures.max("data") == b"\xff"
                return
            asked: list[Callable[[], Awaitable[Any]]] = [
                lambda: rows.page(sort="data"),
                lambda: rows.count(data=gt(b"a")),
                lambda: figures.max("data"),
            ]
            for ask in asked:
                with pytest.raises(BeyondStore, match="data holds bytes"):
                    await ask()

    async def test_many_members(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        await world.fill([Book(shelf_id=shelf.id, title="t", rank=n) for n in range(world.many(600))])
        async with world.query() as hands:
            assert await hands.rows(Book).count(rank=in_(*range(world.many(100), 2000))) == world.many(500)
