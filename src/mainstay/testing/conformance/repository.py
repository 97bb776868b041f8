"""The verbs of a repository on one row: found, added, changed and deleted, and what they refuse."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pytest

from mainstay.model.conditions import any_of, ge
from mainstay.model.inputs import Patch
from mainstay.model.problem import Invalid, NotFound, StaleVersion, UniqueConflict
from mainstay.model.values import UNASSIGNED
from mainstay.ports.repository import MoreThanOne
from mainstay.testing.conformance.model import Book, Everything, Reader, Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World

ABSENT = UUID(int=0xABBA)


class RepositoryConformance(StoreSuite):
    """get, one, count, stream, add, update and delete."""

    entities: ClassVar[Entities] = (Shelf, Book, Reader, Everything)

    async def test_an_added_row_has_an_id_a_version_and_times_and_is_found_as_it_was_returned(
        self, world: World
    ) -> None:
        (row,) = await world.add(Shelf(name="a"))
        assert row.id != UNASSIGNED
        assert row.id.version == 7
        assert (row.version, row.created_at, row.updated_at) == (1, world.clock.now(), world.clock.now())
        assert await world.get(Shelf, row.id) == row

    async def test_a_row_may_bring_its_id(self, world: World) -> None:
        await world.add(Shelf(id=ABSENT, name="a"))
        assert (await world.get(Shelf, ABSENT)).name == "a"
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Shelf(id=ABSENT, name="b"))
        assert raised.value.members["field"] == "id"

    async def test_what_is_not_there_is_not_found(self, world: World) -> None:
        async with world.query() as hands:
            with pytest.raises(NotFound, match="no such Shelf"):
                await hands.rows(Shelf).get(ABSENT)
            with pytest.raises(NotFound, match="no such Shelf"):
                await hands.rows(Shelf).one(name="a")
            assert await hands.rows(Shelf).count() == 0

    async def test_one_is_the_only_one(self, world: World) -> None:
        a, _ = await world.add(Reader(name="a"), Reader(name="b"))
        await world.add(Reader(name="b"))
        async with world.query() as hands:
            assert await hands.rows(Reader).one(name="a") == a
            assert await hands.rows(Reader).one(any_of(name="a"), id=a.id) == a
            with pytest.raises(MoreThanOne):
                await hands.rows(Reader).one(name="b")

    async def test_count_counts_what_matches(self, world: World) -> None:
        await world.add(*(Reader(name=name) for name in "abbc"))
        async with world.query() as hands:
            assert await hands.rows(Reader).count() == 4
            assert await hands.rows(Reader).count(name="b") == 2
            assert await hands.rows(Reader).count(name=ge("b")) == 3
            assert await hands.rows(Reader).count(name="z") == 0

    async def test_a_stream_gives_all_rows_in_order(self, world: World) -> None:
        total = world.many(1300)
        names = [f"{n * 7919 % total:04}" for n in range(total)]
        await world.fill([Reader(name=name) for name in names])
        async with world.query() as hands:
            assert [row.name async for row in hands.rows(Reader).stream(sort="-name")] == sorted(names, reverse=True)
            assert [row.name async for row in hands.rows(Reader).stream()] == names
            assert [
                row.name async for row in hands.rows(Reader).stream(name=ge(f"{total - 10:04}"), sort="name")
            ] == sorted(names)[-10:]

    async def test_a_stream_in_a_command_sees_what_it_wrote(self, world: World) -> None:
        await world.add(Reader(name="a"))
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="b"))
            assert [row.name async for row in hands.rows(Reader).stream(sort="name")] == ["a", "b"]

    async def test_an_update_gives_the_new_row_with_the_next_version(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t", price=Decimal("1.50"), code="k"))
        world.clock.advance(60)
        async with world.command() as hands:
            changed = await hands.rows(Book).update(book, Patch(title="u", rank=5), price=Decimal(2), code="k")
        assert (changed.title, changed.rank, str(changed.price), changed.version) == ("u", 5, "2.00", 2)
        assert (changed.created_at, changed.updated_at) == (book.created_at, world.clock.now())
        assert changed.updated_at > book.updated_at
        assert await world.get(Book, book.id) == changed
        assert book.title == "t"

    async def test_a_field_can_be_set_to_null(self, world: World) -> None:
        (row,) = await world.add(Everything(maybe="", count=0))
        assert (await world.get(Everything, row.id)).maybe == ""
        async with world.command() as hands:
            await hands.rows(Everything).update(row, maybe=None, count=None)
        kept = await world.get(Everything, row.id)
        assert (kept.maybe, kept.count) == (None, None)

    async def test_rows_are_updated_in_the_version_that_was_read(self, world: World) -> None:
        (row,) = await world.add(Shelf(name="a"))
        async with world.command() as hands:
            newer = await hands.rows(Shelf).update(row, name="b")
            newest = await hands.rows(Shelf).update(newer, name="c")
        assert newest.version == 3
        with pytest.raises(StaleVersion):
            async with world.command() as hands:
                await hands.rows(Shelf).update(row, name="d")
        assert await world.get(Shelf, row.id) == newest

    async def test_a_row_that_was_deleted_cannot_be_updated(self, world: World) -> None:
        (row,) = await world.add(Shelf(name="a"))
        async with world.command() as hands:
            await hands.rows(Shelf).delete(row)
        with pytest.raises(NotFound, match="no such Shelf"):
            async with world.command() as hands:
                await hands.rows(Shelf).update(row, name="b")

    async def test_a_row_is_deleted_in_the_version_that_was_read_or_by_its_id(self, world: World) -> None:
        a, b = await world.add(Shelf(name="a"), Shelf(name="b"))
        async with world.command() as hands:
            await hands.rows(Shelf).update(a, name="aa")
        with pytest.raises(StaleVersion):
            async with world.command() as hands:
                await hands.rows(Shelf).delete(a)
        assert len(await world.all(Shelf)) == 2
        async with world.command() as hands:
            await hands.rows(Shelf).delete(a.id)
            await hands.rows(Shelf).delete(b)
        assert await world.all(Shelf) == []

    @pytest.mark.parametrize("by_id", [True, False])
    async def test_what_is_not_there_cannot_be_deleted(self, world: World, by_id: bool) -> None:
        with pytest.raises(NotFound, match="no such Shelf"):
            async with world.command() as hands:
                await hands.rows(Shelf).delete(ABSENT if by_id else Shelf(id=ABSENT, name="a", version=1))

    async def test_values_that_break_rules_are_told_all_at_once_and_nothing_is_stored(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        async with world.command() as hands:
            with pytest.raises(Invalid) as raised:
                await hands.rows(Book).add(Book(shelf_id=shelf.id, title="x" * 201, price=Decimal("-1.234")))
        assert {(f.pointer, f.code) for f in raised.value.faults} == {
            ("/title", "too_long"),
            ("/price", "too_many_places"),
        }
        assert await world.all(Book) == []

    async def test_a_change_that_breaks_rules_is_refused(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="t", code="k"))
        async with world.command() as hands:
            with pytest.raises(Invalid) as raised:
                await hands.rows(Book).update(book, title=None, code="other", price=Decimal("NaN"))
            with pytest.raises(TypeError, match="no field colou"):
                await hands.rows(Book).update(book, colou="red")
            with pytest.raises(TypeError, match="set by the repository"):
                await hands.rows(Book).update(book, version=9)
        assert {(f.pointer, f.code) for f in raised.value.faults} == {
            ("/title", "null"),
            ("/code", "immutable"),
            ("/price", "not_finite"),
        }
        assert await world.get(Book, book.id) == book

    async def test_a_query_changes_nothing(self, world: World) -> None:
        (row,) = await world.add(Shelf(name="a"))
        async with world.query() as hands:
            with pytest.raises(TypeError, match="query"):
                await hands.rows(Shelf).add(Shelf(name="b"))
            with pytest.raises(TypeError, match="query"):
                await hands.rows(Shelf).update(row, name="b")
            with pytest.raises(TypeError, match="query"):
                await hands.rows(Shelf).delete(row)

    async def test_a_condition_on_what_is_no_field_is_refused(self, world: World) -> None:
        async with world.query() as hands:
            for wrong in ({"colour": 1}, {"books": 1}):
                with pytest.raises(TypeError, match="Shelf has no field"):
                    await hands.rows(Shelf).count(**wrong)
            with pytest.raises(TypeError, match="no field size"):
                await hands.rows(Shelf).page(any_of(size=1))
            with pytest.raises(TypeError, match="no field size"):
                await hands.rows(Shelf).page(sort="-size")
            with pytest.raises(ValueError, match="limit"):
                await hands.rows(Shelf).page(limit=0)

    async def test_what_a_caller_does_to_its_row_does_not_reach_the_store(self, world: World) -> None:
        tags = ["a"]
        (row,) = await world.add(Everything(tags=tags))
        tags.append("b")
        (await world.get(Everything, row.id)).tags.append("c")
        (await world.all(Everything))[0].tags.append("d")
        assert (await world.get(Everything, row.id)).tags == ["a"]
