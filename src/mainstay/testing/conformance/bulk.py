"""Many rows at once: the same rules as for one, in statements over sets."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pytest

from mainstay.model.conditions import all_of, ge, in_
from mainstay.model.problem import Invalid, ReferenceConflict, StaleVersion, UniqueConflict
from mainstay.ports.store import BeyondStore
from mainstay.testing.conformance.model import Book, Everything, Leaf, Loan, Reader, Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World


async def books(world: World, count: int = 5) -> list[Book]:
    """Add books of rank 0 and up."""
    (shelf,) = await world.add(Shelf(name="s"))
    return await world.add(*(Book(shelf_id=shelf.id, title=f"t{n}", rank=n) for n in range(count)))


class BulkConformance(StoreSuite):
    """add_all, update and delete."""

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Loan, Reader, Everything)

    async def test_rows_are_added_as_one_by_one(self, world: World) -> None:
        most = world.store.capabilities.max_writes
        count = 1000 if most is None else most // 4
        async with world.command() as hands:
            made = await hands.bulk(Reader).add_all(Reader(name=f"{n}") for n in range(count))
            assert await hands.rows(Reader).count() == count
        assert await world.all(Reader) == made
        assert len({row.id for row in made}) == count
        assert {row.version for row in made} == {1}

    async def test_more_rows_than_a_command_may_write_are_refused_and_none_is_added(self, world: World) -> None:
        most = world.store.capabilities.max_writes
        rows = [Reader(name=f"{n}") for n in range(10 if most is None else most + 1)]
        if most is None:
            assert await world.fill(rows) == await world.all(Reader)
            return
        with pytest.raises(BeyondStore, match=f"{most} at a time"):
            async with world.command() as hands:
                await hands.bulk(Reader).add_all(rows)
        await world.fill(rows[:10])
        with pytest.raises(BeyondStore, match=f"{most} at a time"):
            async with world.command() as hands:
                await hands.bulk(Reader).update(all_of(), set={"name": "changed"})
                await hands.bulk(Reader).add_all(rows[10:])
        assert [row.name for row in await world.all(Reader)] == [row.name for row in rows[:10]]

    async def test_no_rows(self, world: World) -> None:
        async with world.command() as hands:
            assert await hands.bulk(Reader).add_all([]) == []

    async def test_faults_say_which_row_and_none_is_added(self, world: World) -> None:
        async with world.command() as hands:
            with pytest.raises(Invalid) as raised:
                await hands.bulk(Shelf).add_all([Shelf(name="a"), Shelf(name="")])
        assert [fault.pointer for fault in raised.value.faults] == ["/1/name"]
        assert await world.all(Shelf) == []

    async def test_a_broken_rule_undoes_all(self, world: World) -> None:
        with pytest.raises(UniqueConflict) as raised:
            async with world.command() as hands:
                await hands.bulk(Shelf).add_all([Shelf(name="a"), Shelf(name="b"), Shelf(name="a")])
        assert raised.value.members["field"] == "name"
        with pytest.raises(ReferenceConflict) as broken:
            async with world.command() as hands:
                await hands.bulk(Book).add_all([Book(shelf_id=UUID(int=9), title="t")] * 2)
        assert broken.value.members["field"] == "shelf_id"
        assert await world.all(Shelf) == []

    async def test_matching_rows_are_changed_and_counted_with_version_and_time(self, world: World) -> None:
        made = await books(world)
        world.clock.advance(60)
        async with world.command() as hands:
            changes = {"title": "new", "price": Decimal(3), "colour": None}
            assert await hands.bulk(Book).update(rank=ge(2), set=changes) == 3
            assert await hands.rows(Book).count(title="new") == 3
        rows = await world.all(Book)
        assert rows[:2] == made[:2]
        assert {(row.title, str(row.price), row.version, row.updated_at) for row in rows[2:]} == {
            ("new", "3.00", 2, world.clock.now())
        }
        assert [(row.rank, row.created_at) for row in rows] == [(row.rank, row.created_at) for row in made]
        with pytest.raises(StaleVersion):
            async with world.command() as hands:
                await hands.rows(Book).update(made[2], title="late")

    async def test_a_row_can_be_changed_again_after_a_change_of_many(self, world: World) -> None:
        made = await books(world)
        async with world.command() as hands:
            await hands.bulk(Book).update(all_of(), set={"rank": 7})
            row = await hands.rows(Book).get(made[0].id)
            await hands.rows(Book).update(row, title="after")
        assert (await world.get(Book, made[0].id)).version == 3

    async def test_none_matches(self, world: World) -> None:
        await books(world)
        async with world.command() as hands:
            assert await hands.bulk(Book).update(rank=99, set={"title": "x"}) == 0
            assert await hands.bulk(Book).delete(rank=99) == 0

    async def test_a_change_of_nothing_counts(self, world: World) -> None:
        made = await books(world)
        async with world.command() as hands:
            assert await hands.bulk(Book).update(rank=ge(3), set={}) == 2
        assert await world.all(Book) == made

    async def test_all_rows_are_asked_for_by_name(self, world: World) -> None:
        await books(world)
        async with world.command() as hands:
            with pytest.raises(TypeError, match="which Book rows"):
                await hands.bulk(Book).delete()
            with pytest.raises(TypeError, match="which Book rows"):
                await hands.bulk(Book).update(set={"title": "x"})
            assert await hands.bulk(Book).update(all_of(), set={"title": "x"}) == 5
            assert await hands.bulk(Book).delete(all_of()) == 5
        assert await world.all(Book) == []

    async def test_values_are_checked_before_anything_is_changed(self, world: World) -> None:
        made = await books(world)
        async with world.command() as hands:
            with pytest.raises(Invalid) as raised:
                await hands.bulk(Book).update(all_of(), set={"title": None, "price": Decimal(-1), "code": "k"})
            with pytest.raises(TypeError, match="no field tittle"):
                await hands.bulk(Book).update(all_of(), set={"tittle": "x"})
            with pytest.raises(TypeError, match="set by the repository"):
                await hands.bulk(Book).update(all_of(), set={"id": UUID(int=1)})
        assert {(fault.pointer, fault.code) for fault in raised.value.faults} == {
            ("/title", "null"),
            ("/price", "too_small"),
            ("/code", "immutable"),
        }
        assert await world.all(Book) == made

    async def test_a_unique_value_can_be_given_to_one_row_only(self, world: World) -> None:
        await books(world)
        async with world.command() as hands:
            assert await hands.bulk(Book).update(rank=1, set={"isbn": "x"}) == 1
            assert await hands.bulk(Book).update(rank=in_(1), set={"isbn": "x"}) == 1
        with pytest.raises(UniqueConflict) as raised:
            async with world.command() as hands:
                await hands.bulk(Book).update(rank=in_(2, 3), set={"isbn": "y"})
        assert raised.value.members["field"] == "isbn"
        assert len([row for row in await world.all(Book) if row.isbn]) == 1

    async def test_a_reference_is_checked(self, world: World) -> None:
        await books(world)
        with pytest.raises(ReferenceConflict) as raised:
            async with world.command() as hands:
                await hands.bulk(Book).update(all_of(), set={"shelf_id": UUID(int=9)})
        assert raised.value.members["field"] == "shelf_id"

    async def test_deletes_follow_references(self, world: World) -> None:
        made = await books(world)
        await world.add(Leaf(book_id=made[0].id, number=1))
        (loan,) = await world.add(Loan(book_id=made[4].id))
        async with world.command() as hands:
            assert await hands.bulk(Book).delete(rank=in_(0, 1)) == 2
        assert await world.all(Leaf) == []
        with pytest.raises(ReferenceConflict):
            async with world.command() as hands:
                await hands.bulk(Book).delete(all_of())
        assert await world.all(Book) == made[2:]
        assert await world.all(Loan) == [loan]

    async def test_what_is_queued_comes_first(self, world: World) -> None:
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="a"))
            assert await hands.bulk(Reader).update(name="a", set={"name": "b"}) == 1
            await hands.rows(Reader).add(Reader(name="a"))
            assert await hands.bulk(Reader).delete(name=in_("a", "b")) == 2

    async def test_lists_and_values_can_be_set(self, world: World) -> None:
        (row,) = await world.add(Everything())
        tags = ["a"]
        async with world.command() as hands:
            await hands.bulk(Everything).update(all_of(), set={"tags": tags, "free": {"a": [1]}})
            tags.append("b")
        kept = await world.get(Everything, row.id)
        assert (kept.tags, kept.free) == (["a"], {"a": [1]})

    async def test_a_query_changes_nothing(self, world: World) -> None:
        async with world.query() as hands:
            for work in (
                hands.bulk(Reader).add_all([Reader(name="a")]),
                hands.bulk(Reader).update(all_of(), set={"name": "b"}),
                hands.bulk(Reader).delete(all_of()),
            ):
                with pytest.raises(TypeError, match="query"):
                    await work
