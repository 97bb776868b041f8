"""Relations: loaded in batches, bounded, under the target's own policy; and added with their parent."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay.model.problem import Forbidden, Invalid
from mainstay.ports import relations
from mainstay.ports.relations import IncludeTooLarge, UnknownRelation
from mainstay.testing.conformance.model import Book, Label, Leaf, Loan, Mark, Note, Reader, Remark, Shelf
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

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Loan, Reader, Note, Remark, Label, Mark)

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

    async def test_a_row_brings_the_one_that_it_refers_to(self, world: World) -> None:
        two, one, _ = await shelves(world)
        async with world.query() as hands:
            page = await hands.rows(Book).page(include=["shelf"])
            row = await hands.rows(Book).get(page.items[0].id, include=["shelf"])
        assert [book.shelf for book in page.items] == [plain(two), plain(two), plain(one)]
        assert row == page.items[0]
        assert left_out((await world.get(Book, row.id)).shelf)

    async def test_there_is_none_where_no_row_is_referred_to(self, world: World) -> None:
        two, *_ = await shelves(world)
        (reader,) = await world.add(Reader(name="r"))
        book = two.books[0].id
        await world.add(Loan(book_id=book), Loan(book_id=book, reader_id=reader.id))
        async with world.query() as hands:
            page = await hands.rows(Loan).page(include=["reader"])
        assert [loan.reader for loan in page.items] == [None, reader]

    async def test_what_the_caller_may_not_see_of_it_is_none(self, world: World) -> None:
        mine, theirs = await world.add(Note(owner_id=ALICE.id, text="m"), Note(owner_id=BOB.id, text="t"))
        await world.add(*(Remark(note_id=note.id, owner_id=ALICE.id) for note in (mine, theirs)))
        for who, seen in ((ALICE, [mine, None]), (SUPPORT, [mine, theirs])):
            async with world.query(who) as hands:
                assert [row.note for row in (await hands.rows(Remark).page(include=["note"])).items] == seen

    async def test_relations_of_the_row_that_is_referred_to(self, world: World) -> None:
        made = await shelves(world)
        async with world.query() as hands:
            page = await hands.rows(Book).page(include=["shelf.books", "leaves"])
        assert [[book.title for book in row.shelf.books] for row in page.items if row.shelf] == [
            ["x", "y"],
            ["x", "y"],
            ["z"],
        ]
        assert [len(book.leaves) for book in page.items] == [3, 0, 1]
        assert page.items[0].shelf == msgspec.structs.replace(
            plain(made[0]), books=[plain(book) for book in made[0].books]
        )

    async def test_a_changed_reference_lets_go_of_the_row_that_was_loaded(self, world: World) -> None:
        two, one, _ = await shelves(world)
        async with world.command() as hands:
            book = await hands.rows(Book).get(two.books[0].id, include=["shelf", "leaves"])
            same = await hands.rows(Book).update(book, title="new")
            moved = await hands.rows(Book).update(same, shelf_id=one.id)
        assert same.shelf == plain(two)
        assert left_out(moved.shelf)
        assert moved.leaves == book.leaves

    async def test_rows_are_related_through_others(self, world: World) -> None:
        two, one, _ = await shelves(world)
        x, y, z = (book.id for shelf in (two, one) for book in shelf.books)
        a, b, _ = await world.add(*(Reader(name=name) for name in "abc"))
        pairs = [(x, b.id), (x, a.id), (x, a.id), (z, b.id), (y, None)]
        await world.add(*(Loan(book_id=book, reader_id=reader) for book, reader in pairs))
        async with world.query() as hands:
            books = (await hands.rows(Book).page(include=["readers"])).items
            readers = (await hands.rows(Reader).page(include=["books", "books.shelf"])).items
        assert [book.readers for book in books] == [[a, b], [], [b]]  # each once, in the order of their ids
        assert [[(book.title, book.shelf and book.shelf.name) for book in reader.books] for reader in readers] == [
            [("x", "two")],
            [("x", "two"), ("z", "one")],
            [],
        ]

    async def test_rows_between_and_beyond_are_shown_under_their_own_policies(self, world: World) -> None:
        (note,) = await world.add(Note(owner_id=ALICE.id, text="n"))
        mine, theirs, hidden = await world.add(
            Label(owner_id=ALICE.id), Label(owner_id=BOB.id), Label(owner_id=ALICE.id)
        )
        await world.add(
            Mark(note_id=note.id, label_id=mine.id),
            Mark(note_id=note.id, label_id=theirs.id),
            Mark(note_id=note.id, label_id=hidden.id, state="hidden"),
        )
        for who, seen in ((ALICE, [mine]), (SUPPORT, [mine, theirs, hidden])):
            async with world.query(who) as hands:
                assert (await hands.rows(Note).get(note.id, include=["labels"])).labels == seen
                assert (await hands.rows(Note).page(include=["labels"])).items[0].labels == seen

    async def test_rows_that_others_are_between_or_refer_to_are_not_added_with_a_row(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        async with world.abandoned() as hands:
            with pytest.raises(TypeError, match=r"Book\.shelf is read only"):
                await hands.rows(Book).add(Book(shelf_id=shelf.id, title="t", shelf=shelf))
            with pytest.raises(TypeError, match=r"Book\.readers is read only"):
                await hands.bulk(Book).add_all([Book(shelf_id=shelf.id, title="t", readers=[])])

    async def test_all_relations_of_one_answer_are_bounded_together(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two, *_ = await shelves(world)
        (reader,) = await world.add(Reader(name="r"))
        await world.add(Loan(book_id=two.books[0].id, reader_id=reader.id))
        for most, include in ((1, ["shelf"]), (4, ["shelf", "leaves"]), (1, ["readers"])):
            monkeypatch.setattr(relations, "MAX_RELATED", most)
            async with world.query() as hands:
                with pytest.raises(IncludeTooLarge):
                    await hands.rows(Book).page(include=include)
            monkeypatch.setattr(relations, "MAX_RELATED", most + 2)
            async with world.query() as hands:
                await hands.rows(Book).page(include=include)
