"""Commands at the same time: serialisable, with no update lost and no rule broken between them."""

from __future__ import annotations

import asyncio
from typing import ClassVar
from uuid import UUID

import pytest

from mainstay.model.operation import Isolation
from mainstay.model.problem import NotFound, ReferenceConflict, SerializationConflict, StaleVersion, UniqueConflict
from mainstay.testing.conformance.model import Book, Reader, Shelf
from mainstay.testing.conformance.world import Entities, Hands, StoreSuite, World


class IsolationConformance(StoreSuite):
    """Races, run as tasks of one loop; a serialisation conflict is run again, as the kernel does."""

    entities: ClassVar[Entities] = (Shelf, Book, Reader)

    async def test_no_update_is_lost(self, world: World) -> None:
        (row,) = await world.add(Reader(name="0"))

        async def increment(hands: Hands) -> None:
            now = await hands.rows(Reader).get(row.id)
            await asyncio.sleep(0)
            await hands.rows(Reader).update(now, name=str(int(now.name) + 1))

        await asyncio.gather(*(world.run(increment) for _ in range(25)))
        kept = await world.get(Reader, row.id)
        assert (kept.name, kept.version) == ("25", 26)

    @pytest.mark.parametrize("isolation", ["serializable", "repeatable_read", "read_committed"])
    async def test_a_locked_row_is_changed_by_one_after_another(self, world: World, isolation: Isolation) -> None:
        (row,) = await world.add(Reader(name="0"))

        async def increment(hands: Hands) -> None:
            now = await hands.rows(Reader).get(row.id, lock=True)
            await asyncio.sleep(0)
            await hands.rows(Reader).update(now, name=str(int(now.name) + 1))

        await asyncio.gather(*(world.run(increment, isolation=isolation) for _ in range(10)))
        kept = await world.get(Reader, row.id)
        assert (kept.name, kept.version) == ("10", 11)

    @pytest.mark.parametrize("isolation", ["serializable", "repeatable_read"])
    async def test_what_was_read_is_not_written_over(self, world: World, isolation: Isolation) -> None:
        """As before, by statements over sets: they ask for no version."""
        (row,) = await world.add(Reader(name="0"))

        async def increment(hands: Hands) -> None:
            now = await hands.rows(Reader).get(row.id)
            await asyncio.sleep(0)
            assert await hands.bulk(Reader).update(id=row.id, set={"name": str(int(now.name) + 1)}) == 1
            assert (await hands.rows(Reader).get(row.id)).name == str(int(now.name) + 1)

        await asyncio.gather(*(world.run(increment, isolation=isolation) for _ in range(10)))
        assert (await world.get(Reader, row.id)).name == "10"

    async def test_a_lock_of_what_is_not_there_and_in_a_query_is_refused(self, world: World) -> None:
        (row,) = await world.add(Reader(name="0"))
        async with world.abandoned() as hands:
            with pytest.raises(NotFound):
                await hands.rows(Reader).get(world.ids.next(), lock=True)
        async with world.query() as hands:
            with pytest.raises(TypeError, match="which changes nothing"):
                await hands.rows(Reader).get(row.id, lock=True)

    async def test_a_rule_over_two_rows_is_kept(self, world: World) -> None:
        """Two are on call; each goes home when the other stays (write skew)."""
        doctors = await world.add(Reader(name="on call"), Reader(name="on call"))

        async def go_home(hands: Hands, mine: int) -> None:
            if await hands.rows(Reader).count(name="on call") < 2:
                return
            await asyncio.sleep(0)
            me = await hands.rows(Reader).get(doctors[mine].id)
            await hands.rows(Reader).update(me, name="home")

        await asyncio.gather(*(world.run(lambda hands, n=n: go_home(hands, n)) for n in (0, 1)))  # type: ignore[misc]  # a default binds the loop variable
        assert sorted(row.name for row in await world.all(Reader)) == ["home", "on call"]

    async def test_each_rests_on_the_row_that_the_other_changes(self, world: World) -> None:
        """As before, where each looks at the other's row by its id alone."""
        for _ in range(3):
            doctors = [row.id for row in await world.add(Reader(name="on call"), Reader(name="on call"))]

            async def go_home(hands: Hands, mine: UUID, other: UUID) -> None:
                if (await hands.rows(Reader).get(other)).name == "home":
                    return
                me = await hands.rows(Reader).get(mine)
                await asyncio.sleep(0)
                await hands.rows(Reader).update(me, name="home")

            pairs = [doctors, doctors[::-1]]
            await asyncio.gather(*(world.run(lambda hands, p=p: go_home(hands, *p)) for p in pairs))  # type: ignore[misc]  # a default binds the loop variable
            assert sorted([(await world.get(Reader, id_)).name for id_ in doctors]) == ["home", "on call"]

    async def test_a_rule_over_two_tables_is_kept(self, world: World) -> None:
        """Each adds its row where the other's table is empty."""

        async def add(hands: Hands, row: Shelf | Reader, other: type[Shelf | Reader]) -> None:
            if await hands.rows(other).count() == 0:
                await asyncio.sleep(0)
                await hands.rows(type(row)).add(row)

        await asyncio.gather(
            world.run(lambda hands: add(hands, Shelf(name="a"), Reader)),
            world.run(lambda hands: add(hands, Reader(name="a"), Shelf)),
        )
        assert len(await world.all(Shelf)) + len(await world.all(Reader)) == 1

    async def test_no_row_refers_to_one_that_is_deleted_meanwhile(self, world: World) -> None:
        for number in range(5):
            (shelf,) = await world.add(Shelf(name=f"{number}"))

            async def fill(hands: Hands, shelf: Shelf) -> None:
                await hands.rows(Book).add(Book(shelf_id=shelf.id, title="t"))
                await hands.unit.flush()
                await asyncio.sleep(0)

            async def delete(hands: Hands, shelf: Shelf) -> None:
                await hands.rows(Shelf).delete(shelf.id)
                await hands.unit.flush()
                await asyncio.sleep(0)

            told = await asyncio.gather(
                world.run(lambda hands, shelf=shelf: fill(hands, shelf)),  # type: ignore[misc]  # a default binds the loop variable
                world.run(lambda hands, shelf=shelf: delete(hands, shelf)),  # type: ignore[misc]  # a default binds the loop variable
                return_exceptions=True,
            )
            assert told[1] is None
            assert told[0] is None or isinstance(told[0], ReferenceConflict)
        assert (await world.all(Shelf), await world.all(Book)) == ([], [])

    async def test_a_count_that_decides_stays_true(self, world: World) -> None:
        """At most three rows: each of ten adds one where there are fewer (phantoms)."""

        async def join(hands: Hands) -> None:
            if await hands.rows(Reader).count() < 3:
                await asyncio.sleep(0)
                await hands.rows(Reader).add(Reader(name="r"))

        await asyncio.gather(*(world.run(join) for _ in range(10)))
        assert len(await world.all(Reader)) == 3

    async def test_of_two_that_change_what_both_read_before_one_is_stale(self, world: World) -> None:
        (row,) = await world.add(Shelf(name="a"))

        async def rename(name: str) -> str:
            try:
                async with world.command() as hands:
                    await hands.rows(Shelf).update(row, name=name)
                    await asyncio.sleep(0)
            except (StaleVersion, SerializationConflict) as problem:
                return type(problem).__name__
            return name

        told = await asyncio.gather(*(rename(name) for name in "bcd"))
        kept = await world.get(Shelf, row.id)
        assert kept.version == 2
        assert [name for name in told if len(name) == 1] == [kept.name]

    async def test_of_two_that_take_a_unique_value_one_has_it(self, world: World) -> None:
        async def take() -> bool:
            async def work(hands: Hands) -> None:
                await hands.rows(Shelf).add(Shelf(name="a"))
                await asyncio.sleep(0)

            try:
                await world.run(work)
            except UniqueConflict:
                return False
            return True

        assert sorted(await asyncio.gather(*(take() for _ in range(5)))) == [False] * 4 + [True]
        assert len(await world.all(Shelf)) == 1

    async def test_of_two_that_delete_a_row_one_does(self, world: World) -> None:
        (row,) = await world.add(Shelf(name="a"))

        async def delete() -> bool:
            async def work(hands: Hands) -> None:
                await hands.rows(Shelf).delete(row.id)
                await asyncio.sleep(0)

            try:
                await world.run(work)
            except NotFound:
                return False
            return True

        assert sorted(await asyncio.gather(*(delete() for _ in range(3)))) == [False, False, True]

    async def test_one_that_fails_takes_no_neighbour_along(self, world: World) -> None:
        async def work(number: int) -> None:
            async with world.command() as hands:
                await hands.rows(Shelf).add(Shelf(name=f"{number}"))
                await hands.unit.flush()
                await asyncio.sleep(0)
                if number % 3 == 0:
                    raise ZeroDivisionError

        told = await asyncio.gather(*(work(number) for number in range(12)), return_exceptions=True)
        assert [number for number in range(12) if told[number] is not None] == [0, 3, 6, 9]
        names = {row.name for row in await world.all(Shelf)}
        assert names == {f"{number}" for number in range(12) if number % 3}

    async def test_one_that_is_cancelled_leaves_nothing_and_holds_nobody_up(self, world: World) -> None:
        entered = asyncio.Event()

        async def hang(hands: Hands, name: str, entered: asyncio.Event) -> None:
            await hands.rows(Shelf).add(Shelf(name=name))
            await hands.unit.flush()
            entered.set()
            await asyncio.Event().wait()

        holder = asyncio.create_task(world.run(lambda hands: hang(hands, "a", entered)))
        await entered.wait()
        waiting = asyncio.create_task(world.add(Shelf(name="b")))
        given_up = asyncio.create_task(world.run(lambda hands: hang(hands, "c", asyncio.Event())))
        await asyncio.sleep(0.01)
        given_up.cancel()
        holder.cancel()
        await asyncio.wait_for(waiting, 10)
        for task in (holder, given_up):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [row.name for row in await world.all(Shelf)] == ["b"]

    async def test_queries_do_not_wait_for_a_command(self, world: World) -> None:
        await world.add(Shelf(name="a"))
        async with world.command() as hands:
            await hands.rows(Shelf).add(Shelf(name="b"))
            await hands.unit.flush()
            async with asyncio.timeout(10):
                assert [row.name for row in await world.all(Shelf)] == ["a"]
