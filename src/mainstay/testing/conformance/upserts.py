"""Upserts: a row is added, or changes the one of its unique value, and two at once of one value both succeed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pytest

from mainstay.model.problem import (
    Forbidden,
    Invalid,
    PreconditionFailed,
    ReferenceConflict,
    UniqueConflict,
)
from mainstay.testing.conformance.model import Book, Leaf, Reader, Shelf, Wallet
from mainstay.testing.conformance.world import ALICE, BOB, SUPPORT, Entities, Hands, StoreSuite, World


class UpsertsConformance(StoreSuite):
    """``upsert`` of the repository and of many rows."""

    entities: ClassVar[Entities] = (Shelf, Book, Leaf, Reader, Wallet)

    async def test_a_row_of_a_new_value_is_added(self, world: World) -> None:
        async with world.command() as hands:
            done = await hands.rows(Shelf).upsert(Shelf(name="a"), on="name")
        assert done.created
        assert (done.row.version, done.row.created_at) == (1, world.clock.now())
        assert await world.all(Shelf) == [done.row]

    async def test_the_row_of_the_value_is_changed_and_keeps_its_id_and_creation(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        other = Book(shelf_id=shelf.id, title="other", isbn="2")
        old, other = await world.add(Book(shelf_id=shelf.id, title="t", isbn="1", price=Decimal(5), rank=7), other)
        world.clock.advance(60)
        async with world.command() as hands:
            wanted = Book(shelf_id=shelf.id, title="new", isbn="1", price=Decimal("6.50"))
            done = await hands.rows(Book).upsert(wanted, on="isbn")
        assert not done.created
        assert (done.row.id, done.row.created_at) == (old.id, old.created_at)
        assert (done.row.version, done.row.updated_at) == (2, world.clock.now())
        assert (done.row.title, done.row.price, done.row.rank) == ("new", Decimal("6.50"), None)
        assert await world.all(Book) == [done.row, other]

    async def test_only_named_fields_are_changed_where_some_are_named(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        await world.add(Book(shelf_id=shelf.id, title="t", isbn="1", rank=7, code="x"))
        async with world.command() as hands:
            wanted = Book(shelf_id=shelf.id, title="new", isbn="1", rank=8)
            done = await hands.rows(Book).upsert(wanted, on="isbn", change=["title"])
        assert (done.row.title, done.row.rank, done.row.code, done.row.version) == ("new", 7, "x", 2)
        assert await world.all(Book) == [done.row]

    async def test_what_is_set_once_is_not_changed(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        (old,) = await world.add(Book(shelf_id=shelf.id, title="t", isbn="1", code="x"))
        with pytest.raises(Invalid) as raised:
            async with world.command() as hands:
                await hands.rows(Book).upsert(Book(shelf_id=shelf.id, title="n", isbn="1", code="y"), on="isbn")
        assert [(fault.code, fault.pointer) for fault in raised.value.faults] == [("immutable", "/code")]
        with pytest.raises(Invalid) as raised:
            async with world.command() as hands:
                rows = [Book(shelf_id=shelf.id, title="n", isbn=isbn, code="y") for isbn in ("0", "1")]
                await hands.bulk(Book).upsert(rows, on="isbn")
        assert [(fault.code, fault.pointer) for fault in raised.value.faults] == [("immutable", "/1/code")]
        assert await world.all(Book) == [old]
        async with world.command() as hands:
            done = await hands.rows(Book).upsert(Book(shelf_id=shelf.id, title="n", isbn="1", code="x"), on="isbn")
        assert (done.row.title, done.row.version) == ("n", 2)

    async def test_a_row_without_the_value_is_added(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        async with world.command() as hands:
            rows = [Book(shelf_id=shelf.id, title=title) for title in ("a", "b")]
            done = await hands.bulk(Book).upsert(rows, on="isbn")
        assert [each.created for each in done] == [True, True]
        assert [row.title for row in await world.all(Book)] == ["a", "b"]

    async def test_the_id_names_a_row_too(self, world: World) -> None:
        (old,) = await world.add(Reader(name="r"))
        async with world.command() as hands:
            done = await hands.rows(Reader).upsert(Reader(id=old.id, name="new"), on="id")
            new = await hands.rows(Reader).upsert(Reader(id=UUID(int=77), name="first"), on="id")
        assert (done.created, done.row.version, done.row.name) == (False, 2, "new")
        assert (new.created, new.row.id) == (True, UUID(int=77))

    async def test_it_sees_what_the_command_itself_has_written(self, world: World) -> None:
        async with world.command() as hands:
            first = await hands.rows(Shelf).add(Shelf(name="a"))
            done = await hands.rows(Shelf).upsert(Shelf(name="a"), on="name")
            again = await hands.rows(Shelf).upsert(Shelf(name="a"), on="name")
            await hands.rows(Shelf).update(again.row, name="b")
        assert (done.row.id, done.row.version, again.row.version) == (first.id, 2, 3)
        assert [(row.name, row.version) for row in await world.all(Shelf)] == [("b", 4)]

    async def test_another_unique_value_is_a_conflict(self, world: World) -> None:
        await world.add(Wallet(number="1", mail="a", owner_id=ALICE.id), Wallet(number="2", owner_id=ALICE.id))
        for number in ("2", "3"):  # to be changed, and to be added
            with pytest.raises(UniqueConflict) as raised:
                async with world.command() as hands:
                    await hands.rows(Wallet).upsert(Wallet(number=number, mail="a"), on="number")
            assert raised.value.members["field"] == "mail"
        assert {(row.number, row.mail) for row in await world.all(Wallet)} == {("1", "a"), ("2", None)}

    async def test_references_are_kept(self, world: World) -> None:
        with pytest.raises(ReferenceConflict) as raised:
            async with world.command() as hands:
                await hands.rows(Book).upsert(Book(shelf_id=UUID(int=9), title="t", isbn="1"), on="isbn")
        assert raised.value.members["field"] == "shelf_id"

    async def test_values_are_checked_and_stored_in_their_normal_form(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        async with world.command() as hands:
            with pytest.raises(Invalid):
                await hands.rows(Shelf).upsert(Shelf(name=""), on="name")
            done = await hands.rows(Book).upsert(Book(shelf_id=shelf.id, title="t", price=Decimal("1.5")), on="isbn")
        assert str(done.row.price) == "1.50"

    async def test_a_row_out_of_sight_is_a_conflict_that_tells_nothing(self, world: World) -> None:
        (theirs,) = await world.add(Wallet(number="1", owner_id=BOB.id), who=BOB)
        problems = []
        for verb in ("add", "upsert"):
            with pytest.raises(UniqueConflict) as raised:
                async with world.command(ALICE) as hands:
                    if verb == "add":
                        await hands.rows(Wallet).add(Wallet(number="1"))
                    else:
                        await hands.rows(Wallet).upsert(Wallet(number="1"), on="number")
            problems.append((raised.value.code, raised.value.detail, raised.value.faults, raised.value.members))
        assert problems[0] == problems[1]
        assert await world.all(Wallet) == [theirs]

    async def test_a_row_keeps_its_owner_where_none_is_given(self, world: World) -> None:
        (own,) = await world.add(Wallet(number="1", owner_id=BOB.id), who=BOB)
        async with world.command(SUPPORT) as hands:
            done = await hands.rows(Wallet).upsert(Wallet(number="1", mail="m"), on="number")
            new = await hands.rows(Wallet).upsert(Wallet(number="2"), on="number")
        assert (done.row.id, done.row.owner_id, done.row.mail) == (own.id, BOB.id, "m")
        assert new.row.owner_id == SUPPORT.id

    async def test_the_policy_holds_of_what_is_given_and_of_what_comes_of_it(self, world: World) -> None:
        (own,) = await world.add(Wallet(number="1"), who=ALICE)
        with pytest.raises(Forbidden):
            async with world.command(ALICE) as hands:
                await hands.rows(Wallet).upsert(Wallet(number="1", owner_id=BOB.id), on="number")
        await world.add(Wallet(number="3", owner_id=ALICE.id, state="open"))
        with pytest.raises(Forbidden):  # the one that is there keeps its state, and a closed account has no mail "x"
            async with world.command(ALICE) as hands:
                closed = await hands.rows(Wallet).add(Wallet(number="4", state="closed"))
                wanted = Wallet(number=closed.number, mail="x")
                await hands.rows(Wallet).upsert(wanted, on="number", change=["mail"])
        assert [row.number for row in await world.all(Wallet)] == ["1", "3"]
        assert await world.get(Wallet, own.id) == own

    async def test_the_version_that_the_call_names_is_minded(self, world: World) -> None:
        (old,) = await world.add(Reader(name="r"))
        with pytest.raises(PreconditionFailed):
            async with world.command(named=[old.id], if_match=(7,)) as hands:
                await hands.rows(Reader).upsert(Reader(id=old.id, name="new"), on="id")
        async with world.command(named=[old.id], if_match=(1,)) as hands:
            done = await hands.rows(Reader).upsert(Reader(id=old.id, name="new"), on="id")
            again = await hands.rows(Reader).update(done.row, name="newer")
        assert (done.row.version, again.version) == (2, 3)

    async def test_many_rows_are_told_in_their_order(self, world: World) -> None:
        await world.add(Shelf(name="b"), Shelf(name="d"))
        async with world.command() as hands:
            done = await hands.bulk(Shelf).upsert([Shelf(name=name) for name in "dabc"], on="name")
            assert await hands.bulk(Shelf).upsert([], on="name") == []
        assert [each.row.name for each in done] == ["d", "a", "b", "c"]
        assert [each.created for each in done] == [False, True, False, True]
        stored = {(row.name, row.version) for row in await world.all(Shelf)}
        assert stored == {("a", 1), ("b", 2), ("c", 1), ("d", 2)}

    async def test_more_rows_than_go_into_one_statement(self, world: World) -> None:
        most = world.store.capabilities.max_writes
        count = 1100 if most is None else most // 6
        names = [f"{n}" for n in range(count)]
        async with world.command() as hands:
            first = await hands.bulk(Shelf).upsert([Shelf(name=name) for name in names], on="name")
        async with world.command() as hands:
            again = await hands.bulk(Shelf).upsert([Shelf(name=name) for name in reversed(names)], on="name")
        assert all(each.created for each in first)
        assert not any(each.created for each in again)
        assert [each.row.id for each in again] == [each.row.id for each in reversed(first)]
        assert {row.version for row in await world.all(Shelf)} == {2}

    async def test_one_row_that_is_refused_keeps_all_from_being_stored(self, world: World) -> None:
        (theirs,) = await world.add(Wallet(number="2", owner_id=BOB.id), who=BOB)
        with pytest.raises(UniqueConflict):
            async with world.command(ALICE) as hands:
                await hands.bulk(Wallet).upsert([Wallet(number=n) for n in ("1", "2", "3")], on="number")
        with pytest.raises(Invalid) as raised:
            async with world.command(ALICE) as hands:
                await hands.bulk(Wallet).upsert([Wallet(number=n) for n in ("1", "3", "1")], on="number")
        assert [(fault.code, fault.pointer) for fault in raised.value.faults] == [("repeated", "/2/number")]
        assert await world.all(Wallet) == [theirs]

    async def test_owners_that_are_given_and_such_that_are_not_go_together(self, world: World) -> None:
        await world.add(Wallet(number="1", owner_id=BOB.id))
        async with world.command(SUPPORT) as hands:
            wanted = [Wallet(number="1", mail="m"), Wallet(number="2", owner_id=ALICE.id)]
            done = await hands.bulk(Wallet).upsert(wanted, on="number")
        assert [(each.row.owner_id, each.created) for each in done] == [(BOB.id, False), (ALICE.id, True)]

    @pytest.mark.parametrize("isolation", ["serializable", "read_committed"])
    async def test_two_at_once_one_adds_and_the_other_changes(self, world: World, isolation: str) -> None:
        async def work(hands: Hands) -> bool:
            done = await hands.rows(Shelf).upsert(Shelf(name="same"), on="name")
            await asyncio.sleep(0)
            return done.created

        told = await asyncio.gather(*(world.run(work, isolation=isolation) for _ in range(8)))
        assert sorted(told) == [False] * 7 + [True]
        assert [(row.name, row.version) for row in await world.all(Shelf)] == [("same", 8)]

    async def test_it_meets_who_changes_the_row_at_the_same_time(self, world: World) -> None:
        (shelf,) = await world.add(Shelf(name="s"))
        (book,) = await world.add(Book(shelf_id=shelf.id, title="0", isbn="1", rank=0))

        async def count(hands: Hands) -> None:
            row = await hands.rows(Book).get(book.id)
            await asyncio.sleep(0)
            await hands.rows(Book).update(row, rank=(row.rank or 0) + 1)

        async def name(hands: Hands) -> None:
            wanted = Book(shelf_id=shelf.id, title="n", isbn="1")
            await hands.rows(Book).upsert(wanted, on="isbn", change=["title"])

        await asyncio.gather(*(world.run(work) for work in (count, name) * 4))
        found = await world.get(Book, book.id)
        assert (found.rank, found.title, found.version) == (4, "n", 9)

    async def test_what_is_no_unique_field_is_a_mistake(self, world: World) -> None:
        async with world.abandoned() as hands:
            with pytest.raises(TypeError, match="no unique field"):
                await hands.rows(Book).upsert(Book(title="t"), on="title")
            with pytest.raises(TypeError, match="no field of Book"):
                await hands.rows(Book).upsert(Book(title="t"), on="isbn", change=["version"])
            with pytest.raises(TypeError, match="holds rows"):
                await hands.rows(Book).upsert(Book(title="t", leaves=[]), on="isbn")
        async with world.query() as hands:
            with pytest.raises(TypeError, match="is a query"):
                await hands.rows(Book).upsert(Book(title="t"), on="isbn")
