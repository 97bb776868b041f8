"""If-Match: a call that names the version of a row changes it in that version only (RFC 9110, section 13.1.1)."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import pytest

from mainstay.model.problem import NotFound, PreconditionFailed, StaleVersion, UniqueConflict
from mainstay.testing.conformance.model import Note, Shelf
from mainstay.testing.conformance.world import ALICE, BOB, Entities, StoreSuite, World


async def shelf_of_version(world: World, version: int) -> Shelf:
    """Add a shelf and change it until it has a version."""
    (shelf,) = await world.add(Shelf(name="a1"))
    while shelf.version < version:
        async with world.command() as hands:
            shelf = await hands.rows(Shelf).update(shelf, name=f"a{shelf.version + 1}")
    return shelf


class PreconditionsConformance(StoreSuite):
    """update and delete in a call that carries If-Match."""

    entities: ClassVar[Entities] = (Shelf, Note)

    @pytest.mark.parametrize(
        ("if_match", "fine"), [((3,), True), ((1, 3), True), ((), True), ((2,), False), ((1, 2), False)]
    )
    @pytest.mark.parametrize("verb", ["update", "delete", "delete by id"])
    async def test_the_version_that_is_named_is_compared(
        self, world: World, verb: str, if_match: tuple[int, ...], fine: bool
    ) -> None:
        shelf = await shelf_of_version(world, 3)

        async def work() -> None:
            async with world.command(named=[shelf.id], if_match=if_match) as hands:
                rows = hands.rows(Shelf)
                if verb == "update":
                    await rows.update(await rows.get(shelf.id), name="new")
                else:
                    await rows.delete(shelf.id if verb == "delete by id" else shelf)

        if fine:
            await work()
            assert [row.name for row in await world.all(Shelf)] == (["new"] if verb == "update" else [])
        else:
            with pytest.raises(PreconditionFailed):
                await work()
            assert await world.all(Shelf) == [shelf]

    async def test_a_row_that_changed_since_it_was_read_fails_the_precondition(self, world: World) -> None:
        old = await shelf_of_version(world, 1)
        async with world.command() as hands:
            await hands.rows(Shelf).update(old, name="newer")
        with pytest.raises(PreconditionFailed) as raised:
            async with world.command(named=[old.id], if_match=(1,)) as hands:
                await hands.rows(Shelf).update(old, name="mine")
        assert isinstance(raised.value.__cause__, StaleVersion)
        with pytest.raises(PreconditionFailed):
            async with world.command(named=[old.id], if_match=(1,)) as hands:
                await hands.rows(Shelf).delete(old.id)

    async def test_any_version_is_still_compared_with_what_was_read(self, world: World) -> None:
        old = await shelf_of_version(world, 1)
        async with world.command() as hands:
            await hands.rows(Shelf).update(old, name="newer")
        with pytest.raises(StaleVersion):
            async with world.command(named=[old.id], if_match=()) as hands:
                await hands.rows(Shelf).update(old, name="mine")

    async def test_other_rows_of_the_call_are_not_spoken_of(self, world: World) -> None:
        named = await shelf_of_version(world, 1)
        (other,) = await world.add(Shelf(name="other"))
        async with world.command(named=[named.id], if_match=(1,)) as hands:
            other = await hands.rows(Shelf).update(other, name="o2")
            other = await hands.rows(Shelf).update(other, name="o3")
            await hands.rows(Shelf).delete(other)
        (third,) = await world.add(Shelf(name="third"))
        async with world.command() as hands:
            await hands.rows(Shelf).update(third, name="newer")
        with pytest.raises(StaleVersion):
            async with world.command(named=[named.id], if_match=(1,)) as hands:
                await hands.rows(Shelf).update(third, name="mine")
                await hands.rows(Shelf).update(named, name="b")

    async def test_each_of_several_rows_that_are_named_is_compared(self, world: World) -> None:
        one = await shelf_of_version(world, 1)
        (two,) = await world.add(Shelf(name="b1"))
        async with world.command(named=[one.id, two.id], if_match=(1,)) as hands:
            one = await hands.rows(Shelf).update(one, name="a2")
            two = await hands.rows(Shelf).update(two, name="b2")
            await hands.rows(Shelf).update(one, name="a3")
            await hands.rows(Shelf).update(two, name="b3")
        assert sorted(row.name for row in await world.all(Shelf)) == ["a3", "b3"]
        with pytest.raises(PreconditionFailed):
            async with world.command(named=[one.id, two.id], if_match=(3,)) as hands:
                await hands.rows(Shelf).delete(one.id)
                await hands.rows(Shelf).update(two, name="b4")  # read in version 2

    async def test_the_call_may_change_the_row_again(self, world: World) -> None:
        shelf = await shelf_of_version(world, 1)
        async with world.command(named=[shelf.id], if_match=(1,)) as hands:
            shelf = await hands.rows(Shelf).update(shelf, name="b")
            shelf = await hands.rows(Shelf).update(shelf, name="c")
            await hands.rows(Shelf).delete(shelf)
        assert await world.all(Shelf) == []

    async def test_a_row_that_is_not_there_or_hidden_is_not_found(self, world: World) -> None:
        (theirs,) = await world.add(Note(text="n"), who=BOB)
        for id_ in (theirs.id, UUID(int=9)):
            for if_match in ((1,), (1, 2), ()):
                with pytest.raises(NotFound):
                    async with world.command(ALICE, named=[id_], if_match=if_match) as hands:
                        await hands.rows(Note).delete(id_)

    async def test_other_faults_stay_what_they_are(self, world: World) -> None:
        shelf = await shelf_of_version(world, 1)
        await world.add(Shelf(name="taken"))
        with pytest.raises(UniqueConflict):
            async with world.command(named=[shelf.id], if_match=(1,)) as hands:
                await hands.rows(Shelf).update(shelf, name="taken")
        with pytest.raises(UniqueConflict):
            async with world.command(named=[shelf.id], if_match=(1,)) as hands:
                await hands.rows(Shelf).add(Shelf(name="taken"))
                await hands.rows(Shelf).update(shelf, name="b")
