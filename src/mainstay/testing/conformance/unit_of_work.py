"""The unit of work: all or nothing, in order, with reads that see what was written before them."""

from __future__ import annotations

from typing import ClassVar

import pytest

from mainstay.model.conditions import all_of, in_
from mainstay.model.problem import NotFound, ReferenceConflict, StaleVersion, UniqueConflict
from mainstay.testing.conformance.model import Book, Reader, Shelf
from mainstay.testing.conformance.world import Entities, Hands, StoreSuite, World


class UnitOfWorkConformance(StoreSuite):
    """Commit, roll-back, flush and what is seen meanwhile."""

    entities: ClassVar[Entities] = (Shelf, Book, Reader)

    async def test_what_is_rolled_back_was_never_there(self, world: World) -> None:
        a, b, c = await world.add(Shelf(name="a"), Shelf(name="b"), Shelf(name="c"))
        (book,) = await world.add(Book(shelf_id=c.id, title="t"))
        async with world.abandoned() as hands:
            rows = hands.rows(Shelf)
            await rows.add(Shelf(name="d"))
            await rows.update(a, name="aa")
            await rows.delete(b)
            await rows.delete(c)
            assert await rows.count() == 2
            await hands.bulk(Shelf).update(all_of(name="d"), set={"name": "dd"})
        assert await world.all(Shelf) == [a, b, c]
        assert await world.all(Book) == [book]

    async def test_an_exception_of_the_use_case_rolls_back(self, world: World) -> None:
        async def work(hands: Hands) -> None:
            await hands.rows(Shelf).add(Shelf(name="a"))
            await hands.unit.flush()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await world.run(work)
        assert await world.all(Shelf) == []

    async def test_no_rows_are_nothing_to_insert(self, world: World) -> None:
        async with world.command() as hands:
            rows = hands.unit.transaction().rows(Shelf)
            rows.insert([])
            await hands.rows(Shelf).add(Shelf(name="a"))
            rows.insert([])
        assert [shelf.name for shelf in await world.all(Shelf)] == ["a"]

    async def test_reads_see_the_writes_before_them(self, world: World) -> None:
        async with world.command() as hands:
            rows = hands.rows(Shelf)
            shelf = await rows.add(Shelf(name="a"))
            assert await rows.get(shelf.id) == shelf
            assert await rows.one(name="a") == shelf
            shelf = await rows.update(shelf, name="b")
            assert await rows.count(name="a") == 0
            assert (await rows.page(name="b")).items == [shelf]
            await rows.delete(shelf)
            with pytest.raises(NotFound):
                await rows.get(shelf.id)
            assert [row async for row in rows.stream()] == []

    async def test_nobody_else_sees_what_is_not_committed(self, world: World) -> None:
        async with world.command() as hands:
            await hands.rows(Shelf).add(Shelf(name="a"))
            await hands.unit.flush()
            assert await world.all(Shelf) == []
        assert len(await world.all(Shelf)) == 1

    async def test_writes_are_carried_out_in_the_order_in_which_they_came(self, world: World) -> None:
        async with world.command() as hands:
            first = await hands.rows(Shelf).add(Shelf(name="a"))
            book = await hands.rows(Book).add(Book(shelf_id=first.id, title="t"))
            renamed = await hands.rows(Shelf).update(first, name="b")
            second = await hands.rows(Shelf).add(Shelf(name="a"))
            await hands.rows(Book).update(book, shelf_id=second.id)
            await hands.rows(Shelf).delete(renamed)
        assert await world.all(Shelf) == [second]
        assert [row.shelf_id for row in await world.all(Book)] == [second.id]

    async def test_a_broken_rule_surfaces_at_the_flush_the_next_read_or_the_commit(self, world: World) -> None:
        await world.add(Shelf(name="a"))
        async with world.abandoned() as hands:
            await hands.rows(Shelf).add(Shelf(name="a"))
            with pytest.raises(UniqueConflict):
                await hands.unit.flush()
        async with world.abandoned() as hands:
            await hands.rows(Shelf).add(Shelf(name="a"))
            with pytest.raises(UniqueConflict):
                await hands.rows(Reader).count()
        async with world.abandoned() as hands:
            await hands.rows(Shelf).add(Shelf(name="a"))
            with pytest.raises(UniqueConflict):
                await hands.unit.commit()
        assert len(await world.all(Shelf)) == 1

    async def test_a_call_that_goes_on_behind_a_broken_rule_commits_nothing(self, world: World) -> None:
        await world.add(Shelf(name="a"))
        async with world.abandoned() as hands:
            await hands.rows(Shelf).add(Shelf(name="b"))
            await hands.rows(Shelf).add(Shelf(name="a"))
            await hands.rows(Shelf).add(Shelf(name="c"))
            with pytest.raises(UniqueConflict):
                await hands.unit.flush()
            with pytest.raises(UniqueConflict):
                await hands.rows(Shelf).count()
            with pytest.raises(UniqueConflict):
                await hands.unit.commit()
        assert [row.name for row in await world.all(Shelf)] == ["a"]

    async def test_a_failed_change_of_many_commits_nothing(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        books = await world.add(*(Book(shelf_id=shelf.id, title=f"{n}") for n in range(3)))
        async with world.abandoned() as hands:
            with pytest.raises(UniqueConflict):
                await hands.bulk(Book).update(all_of(), set={"isbn": "x"})
            with pytest.raises(UniqueConflict):
                await hands.unit.commit()
        assert await world.all(Book) == books

    async def test_the_first_broken_rule_is_told(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="a"))
        async with world.command() as hands:
            newer = await hands.rows(Shelf).update(shelf, name="b")
        with pytest.raises(StaleVersion):
            async with world.command() as hands:
                await hands.rows(Shelf).update(shelf, name="c")
                await hands.rows(Shelf).add(Shelf(name="b"))
                await hands.rows(Book).add(Book(shelf_id=world.ids.next(), title="t"))
        with pytest.raises(ReferenceConflict):
            async with world.command() as hands:
                await hands.rows(Book).add(Book(shelf_id=world.ids.next(), title="t"))
                await hands.rows(Shelf).add(Shelf(name="b"))
        assert await world.all(Shelf) == [newer]

    async def test_a_unit_that_touched_nothing_ends_without_a_transaction(self, world: World) -> None:
        unit = world.unit()
        assert not unit.begun
        await unit.flush()
        await unit.commit()
        await unit.rollback()
        assert not unit.begun

    async def test_what_has_ended_cannot_be_used(self, world: World) -> None:
        unit = world.unit()
        hands = Hands(unit)
        shelf = await hands.rows(Shelf).add(Shelf(name="a"))
        await unit.commit()
        with pytest.raises(RuntimeError, match="ended"):
            await hands.rows(Shelf).get(shelf.id)
        with pytest.raises(RuntimeError, match="ended"):
            await hands.rows(Shelf).add(Shelf(name="b"))
        await unit.rollback()
        assert await world.all(Shelf) == [shelf]

    async def test_a_query_reads_one_snapshot(self, world: World) -> None:
        a, _ = await world.add(Shelf(name="a"), Shelf(name="b"))
        async with world.query() as hands:
            assert await hands.rows(Shelf).count() == 2
            async with world.command() as other:
                await other.rows(Shelf).add(Shelf(name="c"))
                await other.rows(Shelf).update(a, name="aa")
                await other.bulk(Shelf).delete(name="b")
            assert await hands.rows(Shelf).count() == 2
            # Without snapshots each read sees what is committed when it comes, and no more and no less than that.
            first, second = ("a", "b") if world.store.capabilities.snapshots else ("aa", "c")
            assert (await hands.rows(Shelf).get(a.id)).name == first
            assert [row.name for row in (await hands.rows(Shelf).page(sort="name")).items] == [first, second]
            assert await hands.figures(Shelf).max("name") == second
        assert [row.name for row in await world.all(Shelf)] == ["aa", "c"]

    async def test_a_stream_reads_one_snapshot(self, world: World) -> None:
        snapshots = world.store.capabilities.snapshots
        names = [f"{n:04}" for n in range(world.many(1200))]
        await world.fill([Reader(name=name) for name in names])
        seen: list[str] = []
        async with world.query() as hands:
            async for row in hands.rows(Reader).stream(sort="name"):
                if not seen:
                    async with world.command() as other:
                        await other.bulk(Reader).delete(all_of() if snapshots else all_of(name=in_(*names[-10:])))
                        await other.rows(Reader).add(Reader(name="9999"))
                seen.append(row.name)
        if snapshots:
            assert seen == names
        else:  # no row twice, and none missing that was there all the time
            assert sorted(set(seen)) == seen
            assert [name for name in seen if name < names[-10]] == names[:-10]
