"""Figures over rows: exact, typed, without nulls, in groups that have an order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from mainstay.model.conditions import all_of, ge
from mainstay.ports.aggregates import avg_of, count_of, max_of, min_of, sum_of
from mainstay.testing.conformance.model import Book, Colour, Everything, Grade, Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World


class Summary(msgspec.Struct):
    """What is told of the books of a colour."""

    colour: Colour | None
    books: int
    ranked: int = 0
    total: Decimal = Decimal(0)
    mean: float | None = None
    first: str | None = None
    last: str | None = None


class Pair(msgspec.Struct):
    """A group of two values."""

    colour: Colour | None
    available: bool
    books: int


class AggregatesConformance(StoreSuite):
    """count, sum, avg, min, max and group."""

    entities: ClassVar[Entities] = (Shelf, Book, Everything)

    @pytest_asyncio.fixture
    async def books(self, world: World) -> list[Book]:
        """Six books: two red, three blue, one of no colour; one of no rank."""
        (shelf,) = await world.add(Shelf(name="s"))
        rows: list[tuple[Colour | None, int | None, str]] = [
            (Colour.RED, 1, "0.10"),
            (Colour.RED, 2, "0.20"),
            (Colour.BLUE, 3, "0.30"),
            (Colour.BLUE, 4, "1.00"),
            (Colour.BLUE, None, "2.00"),
            (None, 10, "3.00"),
        ]
        made = [
            Book(shelf_id=shelf.id, title=f"t{n}", colour=colour, rank=rank, price=Decimal(price), available=n % 2 == 0)
            for n, (colour, rank, price) in enumerate(rows)
        ]
        return await world.add(*made)

    @pytest.mark.usefixtures("books")
    async def test_figures_of_all_rows(self, world: World) -> None:
        async with world.query() as hands:
            figures = hands.figures(Book)
            assert await figures.count() == 6
            assert await figures.sum("rank") == 20
            assert repr(await figures.sum("price")) == "Decimal('6.60')"
            assert await figures.avg("rank") == 4.0
            assert await figures.avg("price") == Decimal("1.1")
            assert isinstance(await figures.avg("price"), Decimal)
            assert (await figures.min("rank"), await figures.max("rank")) == (1, 10)
            assert (await figures.min("title"), await figures.max("title")) == ("t0", "t5")
            assert (await figures.min("colour"), await figures.max("colour")) == (Colour.BLUE, Colour.RED)
            assert repr(await figures.max("price")) == "Decimal('3.00')"

    @pytest.mark.usefixtures("books")
    async def test_figures_of_some_rows(self, world: World) -> None:
        async with world.query() as hands:
            figures = hands.figures(Book)
            assert await figures.count(colour=Colour.BLUE) == 3
            assert await figures.sum("price", colour=Colour.RED) == Decimal("0.30")
            assert await figures.max("rank", all_of(available=True), rank=ge(1)) == 3

    @pytest.mark.usefixtures("books")
    async def test_figures_of_nothing(self, world: World) -> None:
        async with world.query() as hands:
            figures = hands.figures(Book)
            assert await figures.count(title="none") == 0
            assert repr(await figures.sum("price", title="none")) == "Decimal('0.00')"
            assert repr(await figures.sum("rank", rank=None)) == "0"
            for figure in (figures.avg, figures.min, figures.max):
                assert await figure("rank", title="none") is None
            assert await figures.group(Summary, all_of(title="none"), by="colour", books=count_of()) == []

    @pytest.mark.usefixtures("books")
    async def test_groups_are_filled_in_the_order_of_their_values(self, world: World) -> None:
        async with world.query() as hands:
            found = await hands.figures(Book).group(
                Summary,
                by="colour",
                books=count_of(),
                ranked=count_of("rank"),
                total=sum_of("price"),
                mean=avg_of("rank"),
                first=min_of("title"),
                last=max_of("title"),
            )
        assert found == [
            Summary(None, 1, 1, Decimal("3.00"), 10.0, "t5", "t5"),
            Summary(Colour.BLUE, 3, 2, Decimal("3.30"), 3.5, "t2", "t4"),
            Summary(Colour.RED, 2, 2, Decimal("0.30"), 1.5, "t0", "t1"),
        ]
        assert isinstance(found[1].colour, Colour)

    @pytest.mark.usefixtures("books")
    async def test_groups_of_two_fields_with_conditions_and_a_limit(self, world: World) -> None:
        async with world.query() as hands:
            figures = hands.figures(Book)
            some = all_of(rank=ge(1))
            found = await figures.group(Pair, some, by=("colour", "available"), books=count_of())
            first = await figures.group(Pair, some, by=("colour", "available"), books=count_of(), limit=2)
        assert found == [
            Pair(None, False, 1),
            Pair(Colour.BLUE, False, 1),
            Pair(Colour.BLUE, True, 1),
            Pair(Colour.RED, False, 1),
            Pair(Colour.RED, True, 1),
        ]
        assert isinstance(found[0].available, bool)
        assert first == found[:2]

    async def test_sums_are_exact(self, world: World) -> None:
        edge = 2**62
        await world.add(
            Everything(
                number=edge, amount=Decimal("99999999999999.9999"), real=0.5, at=datetime(2026, 1, 1, tzinfo=UTC)
            ),
            Everything(number=-edge - 1, amount=Decimal("0.0001"), real=0.25),
            Everything(number=edge, amount=Decimal("-0.0002"), grade=Grade.HIGH),
            Everything(number=1, amount=Decimal("-99999999999999.9999"), grade=Grade.LOW),
        )
        async with world.query() as hands:
            figures = hands.figures(Everything)
            assert await figures.sum("number") == edge
            assert repr(await figures.sum("amount")) == "Decimal('-0.0001')"
            assert await figures.sum("real") == 0.75
            assert await figures.max("at") == datetime(2026, 1, 1, tzinfo=UTC)
            assert (await figures.min("grade"), await figures.max("grade")) == (Grade.LOW, Grade.HIGH)

    async def test_a_sum_may_be_larger_than_64_bits(self, world: World) -> None:
        await world.add(*(Everything(number=2**63 - 1) for _ in range(3)))
        async with world.query() as hands:
            assert await hands.figures(Everything).sum("number") == 3 * (2**63 - 1)

    @pytest.mark.usefixtures("books")
    async def test_figures_see_what_was_queued(self, world: World) -> None:
        async with world.command() as hands:
            book = await hands.rows(Book).one(title="t0")
            await hands.rows(Book).update(book, rank=100)
            assert await hands.figures(Book).max("rank") == 100

    @pytest.mark.parametrize(
        ("into", "asked", "message"),
        [
            (Summary, {"by": "colours"}, "no field colours"),
            (Summary, {"by": "leaves"}, "no field leaves"),
            (Summary, {"by": "title"}, "Summary has no field title"),
            (Summary, {"by": "colour", "books": sum_of("title")}, "cannot be summed"),
            (Summary, {"by": "colour", "boks": count_of()}, "Summary has no field boks"),
            (Summary, {"by": (), "books": count_of()}, "group by"),
        ],
        ids=repr,
    )
    async def test_what_cannot_be_told_is_refused(
        self, world: World, into: Any, asked: dict[str, Any], message: str
    ) -> None:
        async with world.query() as hands:
            with pytest.raises(TypeError, match=message):
                await hands.figures(Book).group(into, **asked)

    async def test_kinds_that_have_no_such_figure(self, world: World) -> None:
        async with world.query() as hands:
            for figure in (hands.figures(Everything).min, hands.figures(Everything).sum):
                with pytest.raises(TypeError, match="cannot be"):
                    await figure("tags")
            with pytest.raises(TypeError, match="no field nothing"):
                await hands.figures(Everything).sum("nothing")
            with pytest.raises(ValueError, match="limit"):
                await hands.figures(Book).group(Pair, by="colour", books=count_of(), limit=0)
