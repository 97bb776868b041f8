"""Soft deletion: a deleted row is kept, and is nowhere to be seen but among the deleted ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay.model.conditions import all_of, ne
from mainstay.model.principal import Principal
from mainstay.model.problem import (
    Invalid,
    NotFound,
    PreconditionFailed,
    ReferenceConflict,
    StaleVersion,
    UniqueConflict,
)
from mainstay.testing.conformance.model import Folder, Link, Paper, Seal
from mainstay.testing.conformance.world import Entities, Hands, StoreSuite, World
from mainstay.testing.fixed import FixedClock

ACME = Principal(id=UUID(int=0xACE), subject="amy", tenant="acme")
AMOS = Principal(id=UUID(int=0xACE2), subject="amos", tenant="acme")
GLOBEX = Principal(id=UUID(int=0x610B), subject="gus", tenant="globex")
HEAD = Principal(id=UUID(int=0xACE3), subject="head", tenant="acme", roles=frozenset({"support"}))

DELETES: dict[str, Callable[[Hands, Folder], Awaitable[Any]]] = {
    "by id": lambda hands, row: hands.rows(Folder).delete(row.id),
    "the row": lambda hands, row: hands.rows(Folder).delete(row),
    "all that match": lambda hands, row: hands.bulk(Folder).delete(id=row.id),
}


class TickingClock(FixedClock):
    """A clock that nobody reads the same time from twice."""

    def now(self) -> datetime:
        self.advance(0.001)
        return super().now()


class SoftDeletionConformance(StoreSuite):
    """What a delete hides, what it frees, and what comes back."""

    entities: ClassVar[Entities] = (Folder, Paper, Seal, Link)

    async def _delete(self, world: World, *rows: Any, who: Principal = HEAD) -> None:
        async with world.command(who) as hands:
            for row in rows:
                await hands.rows(type(row)).delete(row)

    async def _gone(self, world: World, entity: type[Any], who: Principal = HEAD, **fields: Any) -> list[Any]:
        async with world.query(who) as hands:
            return [row async for row in hands.deleted(entity).stream(sort="id", **fields)]

    @pytest.mark.parametrize("delete", DELETES)
    async def test_a_deleted_row_is_nowhere(self, world: World, delete: str) -> None:
        kept, gone = await world.add(Folder(name="kept", size=1), Folder(name="gone", size=2))
        world.clock.advance(60)
        async with world.command() as hands:
            await DELETES[delete](hands, gone)
            with pytest.raises(NotFound):
                await hands.rows(Folder).get(gone.id)
        async with world.query(Principal.system) as hands:
            rows, figures = hands.rows(Folder), hands.figures(Folder)
            assert (await rows.page(count=True)).items == [kept]
            assert (await rows.page(count=True)).count == await rows.count() == await figures.count() == 1
            assert await rows.count(deleted_at=ne(None)) == await rows.count(id=gone.id) == 0
            assert [row async for row in rows.stream()] == [kept]
            assert await figures.sum("size") == 1
            with pytest.raises(NotFound):
                await rows.one(name="gone")
        (found,) = await self._gone(world, Folder)
        assert (found.id, found.version, found.name) == (gone.id, 2, "gone")
        assert found.deleted_at == found.updated_at == world.clock.now() != found.created_at

    async def test_an_upsert_leaves_deleted_rows_alone(self, world: World) -> None:
        (gone,) = await world.add(Folder(name="a", size=1))
        await self._delete(world, gone)
        async with world.command() as hands:
            added = await hands.rows(Folder).upsert(Folder(name="a", size=2), on="name")
        async with world.command() as hands:
            changed = await hands.rows(Folder).upsert(Folder(name="a", size=3), on="name")
        assert (added.created, changed.created) == (True, False)
        assert await world.all(Folder) == [changed.row]
        assert (changed.row.size, changed.row.deleted_at) == (3, None)  # type: ignore[attr-defined]  # by the option
        with pytest.raises(UniqueConflict):
            async with world.command() as hands:
                await hands.rows(Folder).upsert(Folder(id=gone.id, name="b"), on="id")
        (found,) = await self._gone(world, Folder)
        assert (found.id, found.size) == (gone.id, 1)

    @pytest.mark.parametrize("delete", ["by id", "the row"])
    async def test_what_is_deleted_cannot_be_changed_or_deleted_again(self, world: World, delete: str) -> None:
        (row,) = await world.add(Folder(name="a"))
        await self._delete(world, row)
        with pytest.raises(NotFound):
            async with world.command() as hands:
                await DELETES[delete](hands, row)
        with pytest.raises(NotFound):
            async with world.command() as hands:
                await hands.rows(Folder).update(row, size=3)
        async with world.command() as hands:
            assert await hands.bulk(Folder).update(all_of(), set={"size": 3}) == 0
            assert await hands.bulk(Folder).delete(all_of()) == 0
        assert [(found.version, found.size) for found in await self._gone(world, Folder)] == [(2, 0)]

    async def test_a_delete_is_of_the_version_that_was_read(self, world: World) -> None:
        (row,) = await world.add(Folder(name="a"))
        async with world.command() as hands:
            newer = await hands.rows(Folder).update(row, size=1)
        with pytest.raises(StaleVersion):
            await self._delete(world, row)
        for id_or_row in (newer, newer.id):
            with pytest.raises(PreconditionFailed):
                async with world.command(named=[row.id], if_match=(1,)) as hands:
                    await hands.rows(Folder).delete(id_or_row)
        async with world.command(named=[row.id], if_match=(2,)) as hands:
            await hands.rows(Folder).delete(newer.id)
        assert [found.version for found in await self._gone(world, Folder)] == [3]

    async def test_when_it_was_deleted_is_for_the_repository_to_say(self, world: World) -> None:
        now: Any = {"deleted_at": world.clock.now()}
        (row,) = await world.add(Folder(name="a", **now))
        assert await world.all(Folder) == [row]
        async with world.command() as hands:
            with pytest.raises(Invalid):
                await hands.rows(Folder).update(row, **now)
            with pytest.raises(Invalid):
                await hands.bulk(Folder).update(all_of(), set=now)

    async def test_a_unique_value_is_free_again(self, world: World) -> None:
        (first,) = await world.add(Folder(name="a", label="l"))
        await self._delete(world, first)
        (second,) = await world.add(Folder(name="a", label="l"))
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Folder(name="a"))
        assert raised.value.members["field"] == "name"
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Folder(name="b", label="l"))
        assert raised.value.members["field"] == "label"
        await world.add(Folder(name="c"), Folder(name="d"))
        async with world.query() as hands:
            assert (await hands.rows(Folder).one(name="a")).id == second.id
            assert (await hands.deleted(Folder).page(name="a")).items[0].id == first.id
        await self._delete(world, second)
        assert len(await self._gone(world, Folder, name="a")) == 2
        async with world.command() as hands:
            await hands.deleted(Folder).restore(first.id)
        with pytest.raises(UniqueConflict):
            async with world.command() as hands:
                await hands.deleted(Folder).restore(second.id)
        assert [row.id for row in await self._gone(world, Folder)] == [second.id]

    async def test_a_row_is_brought_back_as_it_was(self, world: World) -> None:
        (row,) = await world.add(Folder(name="a", size=7))
        await self._delete(world, row)
        with pytest.raises(NotFound):
            async with world.command() as hands:
                await hands.deleted(Folder).restore(UUID(int=1))
        world.clock.advance(5)
        async with world.command() as hands:
            restored = await hands.deleted(Folder).restore(row.id)
        assert await world.get(Folder, row.id) == restored
        now = world.clock.now()
        assert restored == msgspec.structs.replace(row, version=3, updated_at=now)
        assert await self._gone(world, Folder) == []
        with pytest.raises(NotFound):
            async with world.command() as hands:
                await hands.deleted(Folder).restore(row.id)
        async with world.query() as hands:
            with pytest.raises(TypeError):
                await hands.deleted(Folder).restore(row.id)

    async def test_where_its_value_was_taken_meanwhile_it_is_a_conflict(self, world: World) -> None:
        (row,) = await world.add(Folder(name="a"))
        await self._delete(world, row)
        (other,) = await world.add(Folder(name="a"))
        with pytest.raises(UniqueConflict) as raised:
            async with world.command() as hands:
                await hands.deleted(Folder).restore(row.id)
        assert raised.value.members["field"] == "name"
        assert await world.all(Folder) == [other]

    async def test_what_belongs_to_a_row_goes_and_comes_back_with_it(self, world: World) -> None:
        world.clock = TickingClock()
        (top,) = await world.add(Folder(name="top"))
        (below,) = await world.add(Folder(name="below", parent_id=top.id))
        first, other = await world.add(Paper(number="1", folder_id=below.id), Paper(number="2"), who=ACME)
        (early,) = await world.add(Paper(number="3", folder_id=below.id), who=ACME)
        await self._delete(world, early)
        world.clock.advance(1)
        await self._delete(world, top)
        assert await world.all(Folder) == []
        assert await world.all(Paper, who=ACME) == [other]
        assert [row.number for row in await self._gone(world, Paper)] == ["1", "3"]
        with pytest.raises(ReferenceConflict):
            async with world.command(ACME) as hands:
                await hands.deleted(Paper).restore(first.id)
        world.clock.advance(1)
        async with world.command(ACME) as hands:
            await hands.deleted(Folder).restore(top.id)
        assert {row.name for row in await world.all(Folder)} == {"top", "below"}
        assert [row.number for row in await world.all(Paper, who=ACME)] == ["1", "2"]
        assert [row.number for row in await self._gone(world, Paper)] == ["3"]
        assert [row.version for row in await world.all(Paper, who=ACME)] == [3, 1]
        async with world.query(ACME) as hands:
            (page,) = (await hands.rows(Folder).page(name="below", include=["papers"])).items
            assert [paper.number for paper in page.papers] == ["1"]

    async def test_many_rows_go_with_what_belongs_to_them(self, world: World) -> None:
        world.clock = TickingClock()
        folders = await world.add(*(Folder(name=f"{n}") for n in range(3)))
        await world.add(*(Paper(number=f"{n}", folder_id=row.id) for n, row in enumerate(folders)), who=ACME)
        async with world.command() as hands:
            assert await hands.bulk(Folder).delete(name=ne("1")) == 2
        assert [row.name for row in await world.all(Folder)] == ["1"]
        assert [row.number for row in await world.all(Paper, who=ACME)] == ["1"]
        async with world.command(ACME) as hands:
            await hands.deleted(Folder).restore(folders[0].id)
        assert [row.number for row in await world.all(Paper, who=ACME)] == ["0", "1"]

    async def test_what_restricts_does_so_and_what_forgets_does_so(self, world: World) -> None:
        (folder,) = await world.add(Folder(name="f"))
        (paper,) = await world.add(Paper(number="1", folder_id=folder.id), who=ACME)
        (seal,) = await world.add(Seal(paper_id=paper.id), who=ACME)
        (link,) = await world.add(Link(paper_id=paper.id), who=ACME)
        for row in (paper, folder):
            with pytest.raises(ReferenceConflict):
                await self._delete(world, row)
        with pytest.raises(ReferenceConflict):
            async with world.command(HEAD) as hands:
                await hands.bulk(Folder).delete(all_of())
        with pytest.raises(NotFound):  # nobody learns what refers to a row of another
            await self._delete(world, paper, who=GLOBEX)
        assert await world.all(Paper, who=ACME) == [paper]
        await self._delete(world, seal)
        await self._delete(world, folder)
        assert await world.all(Paper, who=ACME) == []
        assert [found.paper_id for found in await world.all(Link) if found.id == link.id] == [None]

    async def test_a_reference_to_a_deleted_row_is_one_to_a_row_that_is_not_there(self, world: World) -> None:
        (gone,) = await world.add(Folder(name="gone"))
        (paper,) = await world.add(Paper(number="1"), who=ACME)
        await self._delete(world, gone)
        works: list[Callable[[Hands], Awaitable[Any]]] = [
            lambda hands: hands.rows(Paper).add(Paper(number="2", folder_id=gone.id)),
            lambda hands: hands.rows(Paper).update(paper, folder_id=gone.id),
            lambda hands: hands.bulk(Paper).update(all_of(), set={"folder_id": gone.id}),
            lambda hands: hands.rows(Folder).add(Folder(name="x", parent_id=gone.id)),
        ]
        for work in works:
            with pytest.raises(ReferenceConflict):
                async with world.command(ACME) as hands:
                    await work(hands)

    async def test_deleted_rows_obey_tenancy_and_policy(self, world: World) -> None:
        (mine,) = await world.add(Paper(number="1"), who=ACME)
        (theirs,) = await world.add(Paper(number="1"), who=GLOBEX)
        await self._delete(world, mine, who=ACME)
        await self._delete(world, theirs, who=GLOBEX)
        for who, seen in ((ACME, [mine.id]), (HEAD, [mine.id]), (AMOS, []), (GLOBEX, [theirs.id])):
            assert [row.id for row in await self._gone(world, Paper, who=who)] == seen
            async with world.query(who) as hands:
                assert await hands.deleted(Paper).count() == len(seen)
        for who in (AMOS, GLOBEX):
            with pytest.raises(NotFound):
                async with world.command(who) as hands:
                    await hands.deleted(Paper).restore(mine.id)
            async with world.command(who) as hands:
                assert await hands.deleted(Paper).purge(before=world.clock.now() + timedelta(1), id=mine.id) == 0
        async with world.command(ACME) as hands:
            assert (await hands.deleted(Paper).get(mine.id)).number == "1"
            await hands.deleted(Paper).restore(mine.id)
        assert [row.id for row in await world.all(Paper, who=ACME)] == [mine.id]

    async def test_what_is_old_is_done_away_with(self, world: World) -> None:
        old, young, kept = await world.add(Folder(name="old"), Folder(name="young"), Folder(name="kept"))
        (paper,) = await world.add(Paper(number="1", folder_id=old.id), who=ACME)
        await self._delete(world, old)
        world.clock.advance(3600)
        await self._delete(world, young)
        limit = world.clock.now() - timedelta(minutes=1)
        async with world.command(ACME) as hands:
            assert await hands.deleted(Folder).purge(before=limit, name="young") == 0
            assert await hands.deleted(Folder).purge(before=limit) == 1
        assert [row.id for row in await self._gone(world, Folder)] == [young.id]
        assert await self._gone(world, Paper, id=paper.id) == []
        assert await world.all(Folder) == [kept]
