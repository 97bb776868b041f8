"""Relations: loaded in batches, bounded, under the target's own policy; and added with their parent."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay.model.problem import Forbidden, Invalid
from mainstay.ports.relations import UnknownRelation
from mainstay.testing.conformance.model import Book, Leaf, Note, Remark, Shelf
from mainstay.testing.conformance.world import ALICE, BOB, SUPPORT, Entities, StoreSuite, World


def plain(row: Shelf | Book) -> Shelf | Book:
    """Return a row without what was loaded for it."""
    name = "books" if isinstance(row, Shelf) else "leaves"
    return msgspec.structs.replace(row, **{name: msgspec.UNSET})


def left_out(relation: Any) -> bool:
    """Say whether a relation was not loaded."""
    return relation is msgspec.UNSET


async def shelves(world: World) -> list[Shelf]:
    """Add three shelves with two, one and no book, the first book with three leaves."""
    async with world.command() as hands:
        return await hands.bulk(Shelf).add_all(
            [
                Shelf(name="two", books=[_book("x", 3), _book("y", 0)]),
                Shelf(name="one", books=[_book("z", 1)]),
                Shelf(name="none", books=[]),
            ]
        )


def _book(title: str, leaves: int) -> Book:
    return Book(title=title, leaves=[Leaf(number=n + 1) for n in range(leaves)])


class RelationsConformance(StoreSuite):
    """include, in pages and for one row, and rows that are added with those below them."""

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Note, Remark)

    async def test_rows_are_added_with_those_of_their_relations(self, world: World) -> None:
        two, _, none = await shelves(world)
        assert [book.shelf_id for book in two.books] == [two.id, two.id]
        assert [leaf.book_id for leaf in two.books[0].leaves] == [two.books[0].id] * 3
        assert none.books == []
        assert [row.title for row in await world.all(Book)] == ["x", "y", "z"]
        assert len(await world.all(Leaf)) == 4

    async def test_one_row_and_its_children_in_one_add(self, world: World) -> None:
        given = Shelf(name="a", books=[Book(title="x")])
        async with world.command() as hands:
            added = await hands.rows(Shelf).add(given)
        assert given.books[0].shelf_id == UUID(int=0)
        async with world.query() as hands:
            assert await hands.rows(Shelf).get(added.id, include=["books"]) == added

    async def test_a_child_of_another_parent_is_a_mistake(self, world: World) -> None:
        (other,) = await world.add(Shelf(name="other"))
        async with world.command() as hands:
            with pytest.raises(ValueError, match="/books/0: shelf_id names another Shelf"):
                await hands.rows(Shelf).add(Shelf(name="a", books=[Book(shelf_id=other.id, title="x")]))
        assert [row.name for row in await world.all(Shelf)] == ["other"]

    async def test_faults_of_children_say_where_and_nothing_is_added(self, world: World) -> None:
        async with world.command() as hands:
            with pytest.raises(Invalid) as raised:
                await hands.rows(Shelf).add(Shelf(name="a", books=[_book("x", 0), _book("y" * 201, 0)]))
            with pytest.raises(Invalid) as deeper:
                await hands.bulk(Shelf).add_all([Shelf(name="b", books=[Book(title="x", leaves=[Leaf(number=0)])])])
        assert [fault.pointer for fault in raised.value.faults] == ["/books/1/title"]
        assert [fault.pointer for fault in deeper.value.faults] == ["/0/books/0/leaves/0/number"]
        assert await world.all(Shelf) == []

    async def test_a_row_is_read_without_its_relations_unless_they_are_asked_for(self, world: World) -> None:
        two, *_ = await shelves(world)
        assert left_out((await world.get(Shelf, two.id)).books)
        async with world.query() as hands:
            assert left_out((await hands.rows(Shelf).page(name="two")).items[0].books)

    async def test_a_page_brings_the_relations_that_are_asked_for(self, world: World) -> None:
        made = await shelves(world)
        async with world.query() as hands:
            page = await hands.rows(Shelf).page(include=["books"])
        assert [plain(shelf) for shelf in page.items] == [plain(shelf) for shelf in made]
        assert [[book.title for book in shelf.books] for shelf in page.items] == [["x", "y"], ["z"], []]
        assert all(left_out(book.leaves) for shelf in page.items for book in shelf.books)

    async def test_relations_of_relations(self, world: World) -> None:
        made = await shelves(world)
        async with world.query() as hands:
            page = await hands.rows(Shelf).page(include=["books.leaves"])
            assert page.items == made
            assert await hands.rows(Shelf).get(made[0].id, include=["books", "books.leaves"]) == made[0]

    @pytest.mark.parametrize("path", ["book", "books.pages", "name", "books.leaves.words", ""])
    async def test_what_is_no_relation_is_refused(self, world: World, path: str) -> None:
        await shelves(world)
        async with world.query() as hands:
            with pytest.raises(UnknownRelation):
                await hands.rows(Shelf).page(include=[path])

    async def test_each_parent_brings_its_first_200_children(self, world: World) -> None:
        async with world.command() as hands:
            many, few = await hands.bulk(Shelf).add_all([Shelf(name="many"), Shelf(name="few")])
        rows = [Book(shelf_id=(few if n % 100 == 0 else many).id, title=f"{n}") for n in range(300)]
        made = await world.fill(rows)
        async with world.query() as hands:
            page = await hands.rows(Shelf).page(include=["books"])
        loaded = {shelf.name: shelf.books for shelf in page.items}
        assert loaded["many"] == [book for book in made if book.shelf_id == many.id][:200]
        assert [book.title for book in loaded["few"]] == ["0", "100", "200"]

    async def test_a_relation_shows_what_the_caller_may_see_of_its_target(self, world: World) -> None:
        (note,) = await world.add(Note(owner_id=ALICE.id, text="n"), who=SUPPORT)
        mine, theirs = await world.add(
            Remark(note_id=note.id, owner_id=ALICE.id), Remark(note_id=note.id, owner_id=BOB.id), who=SUPPORT
        )
        for who, seen in ((ALICE, [mine]), (SUPPORT, [mine, theirs])):
            async with world.query(who) as hands:
                assert (await hands.rows(Note).get(note.id, include=["remarks"])).remarks == seen
                assert (await hands.rows(Note).page(include=["remarks"])).items[0].remarks == seen

    async def test_a_child_that_its_policy_forbids_is_refused_with_its_parent(self, world: World) -> None:
        async with world.command(ALICE) as hands:
            with pytest.raises(Forbidden):
                await hands.rows(Note).add(Note(text="n", remarks=[Remark(owner_id=BOB.id)]))
        assert await world.all(Note) == []
