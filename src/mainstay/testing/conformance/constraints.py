"""What a store keeps whole by itself: unique fields, and references with what a delete does to them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay.model.problem import ReferenceConflict, UniqueConflict
from mainstay.testing.conformance.model import Book, Leaf, Loan, Reader, Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World

ABSENT = UUID(int=0xABBA)


class ConstraintsConformance(StoreSuite):
    """Unique fields and references."""

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Loan, Reader)

    async def test_a_unique_value_is_taken_once_and_the_fault_names_the_field(self, world: World) -> None:
        await world.add(Shelf(name="a"))
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Shelf(name="a"))
        assert raised.value.members["field"] == "name"
        assert [(f.code, f.pointer) for f in raised.value.faults] == [("not_unique", "/name")]
        assert "a" not in raised.value.detail.split()[-1:]
        assert len(await world.all(Shelf)) == 1

    async def test_unique_texts_are_compared_exactly(self, world: World) -> None:
        names = ["a", "A", "a ", "á", "a\u0301", "ß", "ss", "\u0131", "i"]
        await world.add(*(Shelf(name=name) for name in names))
        assert [row.name for row in await world.all(Shelf)] == names

    async def test_nulls_are_distinct(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        await world.add(*(Book(shelf_id=shelf.id, title="t") for _ in range(3)))
        await world.add(Book(shelf_id=shelf.id, title="t", isbn=""))
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Book(shelf_id=shelf.id, title="t", isbn=""))
        assert raised.value.members["field"] == "isbn"

    async def test_a_change_may_keep_its_own_value_but_not_take_another_s(self, world: World) -> None:
        a, _ = await world.add(Shelf(name="a"), Shelf(name="b"))
        async with world.command() as hands:
            a = await hands.rows(Shelf).update(a, name="a")
        with pytest.raises(UniqueConflict):
            async with world.command() as hands:
                await hands.rows(Shelf).update(a, name="b")
        assert (await world.get(Shelf, a.id)).name == "a"

    async def test_a_value_is_free_again_after_a_change_a_delete_or_a_roll_back(self, world: World) -> None:
        a, b = await world.add(Shelf(name="a"), Shelf(name="b"))
        async with world.command() as hands:
            await hands.rows(Shelf).update(a, name="c")
            await hands.rows(Shelf).delete(b)
            await hands.rows(Shelf).add(Shelf(name="a"))
            await hands.rows(Shelf).add(Shelf(name="b"))
        async with world.abandoned() as hands:
            await hands.rows(Shelf).add(Shelf(name="d"))
            await hands.unit.flush()
        await world.add(Shelf(name="d"))
        assert sorted(row.name for row in await world.all(Shelf)) == ["a", "b", "c", "d"]

    async def test_a_reference_names_a_row_and_the_fault_names_the_field(self, world: World) -> None:
        with pytest.raises(ReferenceConflict) as raised:
            await world.add(Book(shelf_id=ABSENT, title="t"))
        assert raised.value.members["field"] == "shelf_id"
        assert msgspec.json.encode(raised.value.members) == b'{"field":"shelf_id"}'
        assert [(f.code, f.pointer) for f in raised.value.faults] == [("reference_not_found", "/shelf_id")]
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t"))
        with pytest.raises(ReferenceConflict) as raised:
            async with world.command() as hands:
                await hands.rows(Book).update(book, shelf_id=ABSENT)
        assert raised.value.members["field"] == "shelf_id"

    async def test_of_several_references_the_broken_one_is_named(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t"))
        with pytest.raises(ReferenceConflict) as raised:
            await world.add(Loan(book_id=book.id, reader_id=ABSENT))
        assert raised.value.members["field"] == "reader_id"
        await world.add(Loan(book_id=book.id))
        assert (await world.all(Loan))[0].reader_id is None

    async def test_a_row_that_is_referred_to_cannot_be_deleted_where_that_is_restricted(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t"))
        (loan,) = await world.add(Loan(book_id=book.id))
        with pytest.raises(ReferenceConflict):
            async with world.command() as hands:
                await hands.rows(Book).delete(book)
        with pytest.raises(ReferenceConflict):  # the cascade from the shelf meets the loan
            async with world.command() as hands:
                await hands.rows(Shelf).delete(shelf)
        assert await world.all(Book) == [book]
        async with world.command() as hands:
            await hands.rows(Loan).delete(loan)
            await hands.rows(Book).delete(book)
        assert await world.all(Book) == []

    async def test_a_delete_takes_along_what_cascades(self, world: World) -> None:
        a, b = await world.add(Shelf(name="a"), Shelf(name="b"))
        first, second = await world.add(Book(shelf_id=a.id, title="1"), Book(shelf_id=b.id, title="2"))
        await world.add(*(Leaf(book_id=first.id, number=n) for n in (1, 2)))
        (kept,) = await world.add(Leaf(book_id=second.id, number=3))
        async with world.command() as hands:
            await hands.rows(Shelf).delete(a)
        assert await world.all(Book) == [second]
        assert await world.all(Leaf) == [kept]

    async def test_a_delete_empties_what_refers_to_it_where_that_is_declared(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t"))
        (reader,) = await world.add(Reader(name="r"))
        (loan,) = await world.add(Loan(book_id=book.id, reader_id=reader.id))
        async with world.command() as hands:
            await hands.rows(Reader).delete(reader)
        assert (await world.get(Loan, loan.id)).reader_id is None

    async def test_what_is_added_first_may_be_referred_to_in_the_same_call(self, world: World) -> None:
        async with world.command() as hands:
            shelf = await hands.rows(Shelf).add(Shelf(name="a"))
            book = await hands.rows(Book).add(Book(shelf_id=shelf.id, title="t"))
        assert await world.get(Book, book.id) == book

    async def test_what_is_deleted_cannot_be_referred_to_later_in_the_same_call(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        with pytest.raises(ReferenceConflict) as raised:
            async with world.command() as hands:
                await hands.rows(Book).add(Book(shelf_id=shelf.id, title="before"))
                await hands.rows(Shelf).delete(shelf)
                await hands.rows(Book).add(Book(shelf_id=shelf.id, title="behind"))
        assert raised.value.members["field"] == "shelf_id"
        assert (await world.all(Shelf), await world.all(Book)) == ([shelf], [])
