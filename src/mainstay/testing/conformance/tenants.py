"""Tenants: each works as if it were alone, in every verb, and never learns of another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from mainstay.model.conditions import all_of, ge
from mainstay.model.principal import Principal
from mainstay.model.problem import Forbidden, Invalid, NotFound, ReferenceConflict, UniqueConflict
from mainstay.ports.aggregates import count_of
from mainstay.ports.cursor import CursorInvalid
from mainstay.ports.tenants import NoTenant
from mainstay.testing.conformance.model import Branch, Member, Site
from mainstay.testing.conformance.world import Entities, Hands, StoreSuite, World

ABSENT = UUID(int=0xABBA)
ACME = Principal(id=UUID(int=0xACE), subject="amy", tenant="acme", roles=frozenset({"support"}))
GLOBEX = Principal(id=UUID(int=0x610B), subject="gus", tenant="globex", roles=frozenset({"support"}))
BOUND = Principal(id=UUID(int=0xACE1), subject="boss", tenant="acme", roles=frozenset({"support", "operator"}))
OPERATOR = Principal(id=UUID(int=0x0B), subject="op", roles=frozenset({"support", "operator"}))
LOOSE = Principal(id=UUID(int=0x1005E), subject="lou", roles=frozenset({"support"}))
Verb = Callable[[Hands, UUID, Branch], Awaitable[Any]]


class BranchesOf(msgspec.Struct):
    """How many branches have a rank."""

    rank: int
    branches: int


READS: dict[str, Callable[[Hands], Awaitable[Any]]] = {
    "page": lambda hands: hands.rows(Branch).page(sort="-rank", count=True),
    "count": lambda hands: hands.rows(Branch).count(),
    "figure": lambda hands: hands.figures(Branch).sum("rank"),
    "greatest": lambda hands: hands.figures(Branch).max("name"),
    "groups": lambda hands: hands.figures(Branch).group(BranchesOf, by="rank", branches=count_of()),
    "include": lambda hands: hands.rows(Branch).page(include=["members"]),
}
VERBS: dict[str, Verb] = {
    "get": lambda hands, id_, _: hands.rows(Branch).get(id_),
    "get with include": lambda hands, id_, _: hands.rows(Branch).get(id_, include=["members"]),
    "get with lock": lambda hands, id_, _: hands.rows(Branch).get(id_, lock=True),
    "one": lambda hands, id_, _: hands.rows(Branch).one(id=id_),
    "one by tenant": lambda hands, id_, row: hands.rows(Branch).one(id=id_, tenant_id=row.tenant_id),
    "delete by id": lambda hands, id_, _: hands.rows(Branch).delete(id_),
    "delete the row": lambda hands, _, row: hands.rows(Branch).delete(row),
    "update": lambda hands, _, row: hands.rows(Branch).update(row, rank=9),
}
REFERRING: dict[str, Callable[[Hands, UUID, Member], Awaitable[Any]]] = {
    "add": lambda hands, id_, _: hands.rows(Member).add(Member(branch_id=id_)),
    "update": lambda hands, id_, member: hands.rows(Member).update(member, branch_id=id_),
    "add all": lambda hands, id_, _: hands.bulk(Member).add_all([Member(branch_id=id_)]),
    "update all": lambda hands, id_, _: hands.bulk(Member).update(text="", set={"branch_id": id_}),
}


class TenantsConformance(StoreSuite):
    """Two tenants, who works on the rows of both, and who has none."""

    entities: ClassVar[Entities] = (Branch, Member, Site)

    @pytest_asyncio.fixture
    async def branches(self, world: World) -> dict[str, list[Branch]]:
        """Two branches of one tenant and one of the other, with the same name in both."""
        acme = await world.add(
            Branch(name="north", rank=1, members=[Member(text="a")]), Branch(name="south", rank=2), who=ACME
        )
        globex = await world.add(Branch(name="north", rank=7, members=[Member(text="g")]), who=GLOBEX)
        return {"acme": acme, "globex": globex}

    async def test_the_tenant_is_set_from_the_caller(self, world: World) -> None:
        (branch,) = await world.add(Branch(name="a", members=[Member(text="m")]), who=ACME)
        assert branch.tenant_id == "acme"
        assert branch.members[0].tenant_id == "acme"  # type: ignore[attr-defined]  # the option brings the field
        async with world.command(ACME) as hands:
            (other,) = await hands.bulk(Branch).add_all([Branch(name="b", tenant_id="acme")])
        found = await world.all(Branch, who=ACME)
        assert [row.tenant_id for row in found] == ["acme", "acme"]
        assert other.id in {row.id for row in found}

    async def test_an_upsert_changes_a_row_of_the_tenant_and_adds_one_beside_those_of_others(
        self, world: World
    ) -> None:
        (foreign,) = await world.add(Branch(name="north", rank=7), who=GLOBEX)
        async with world.command(ACME) as hands:
            added = await hands.rows(Branch).upsert(Branch(name="north", rank=1), on="name")
        async with world.command(ACME) as hands:
            many = await hands.bulk(Branch).upsert([Branch(name="north", rank=2), Branch(name="south")], on="name")
            with pytest.raises(TypeError, match="tenant_id"):
                await hands.rows(Branch).upsert(Branch(name="north"), on="name", change=["tenant_id"])
        assert (added.created, [one.created for one in many]) == (True, [False, True])
        assert (many[0].row.id, many[0].row.rank, many[0].row.version) == (added.row.id, 2, 2)
        assert await world.all(Branch, who=GLOBEX) == [foreign]
        with pytest.raises(UniqueConflict):
            async with world.command(ACME) as hands:
                await hands.rows(Branch).upsert(Branch(id=foreign.id, name="x"), on="id")
        assert await world.all(Branch, who=GLOBEX) == [foreign]

    async def test_a_row_of_another_tenant_is_refused(self, world: World) -> None:
        foreign = Branch(name="a", tenant_id="globex")
        for who in (ACME, BOUND):
            with pytest.raises(Forbidden):
                await world.add(foreign, who=who)
            with pytest.raises(Forbidden):
                async with world.command(who) as hands:
                    await hands.bulk(Branch).add_all([foreign])
        assert await world.all(Branch, who=OPERATOR) == []

    async def test_the_tenant_is_never_changed(self, world: World, branches: dict[str, list[Branch]]) -> None:
        for who in (ACME, OPERATOR):
            with pytest.raises(Invalid):
                async with world.command(who) as hands:
                    await hands.rows(Branch).update(branches["acme"][0], tenant_id="globex")
            with pytest.raises(Invalid):
                async with world.command(who) as hands:
                    await hands.bulk(Branch).update(all_of(), set={"tenant_id": "globex"})
        assert await world.all(Branch, who=GLOBEX) == [
            msgspec.structs.replace(row, members=msgspec.UNSET) for row in branches["globex"]
        ]

    @pytest.mark.usefixtures("branches")
    async def test_each_sees_its_own_and_who_has_none_sees_nothing(self, world: World) -> None:
        for who, names, total in (
            (ACME, ["south", "north"], 3),
            (BOUND, ["south", "north"], 3),
            (GLOBEX, ["north"], 7),
            (OPERATOR, ["north", "south", "north"], 10),
            (LOOSE, [], 0),
            (Principal.anonymous, [], 0),
            (Principal(id=ACME.id, tenant=""), [], 0),
        ):
            async with world.query(who) as hands:
                page = await hands.rows(Branch).page(sort="-rank", count=True)
                assert ([row.name for row in page.items], page.count) == (names, len(names))
                assert [row.name async for row in hands.rows(Branch).stream(sort="-rank")] == names
                assert await hands.rows(Branch).count() == await hands.figures(Branch).count() == len(names)
                assert await hands.figures(Branch).sum("rank") == total
                assert await hands.rows(Branch).count(rank=ge(7)) == (7 in (total, total - 3))
                ranks = await hands.figures(Branch).group(BranchesOf, by="rank", branches=count_of())
                assert len(ranks) == len(names)
                assert (await hands.rows(Branch).page(limit=2, count=True)).count == len(names)

    @pytest.mark.parametrize("read", READS)
    async def test_what_one_reads_does_not_change_with_what_another_has(self, world: World, read: str) -> None:
        await world.add(Branch(name="north", rank=1, members=[Member(text="a")]), who=ACME)
        async with world.query(ACME) as hands:
            before = await READS[read](hands)
        await world.add(Branch(name="zenith", rank=7, members=[Member(text="g")]), who=GLOBEX)
        async with world.query(ACME) as hands:
            assert await READS[read](hands) == before

    @pytest.mark.parametrize("verb", VERBS)
    async def test_what_is_of_another_and_what_is_not_there_answer_alike(
        self, world: World, branches: dict[str, list[Branch]], verb: str
    ) -> None:
        theirs = branches["globex"][0]
        told = []
        for who in (ACME, LOOSE):
            for row in (theirs, msgspec.structs.replace(theirs, id=ABSENT)):
                with pytest.raises(NotFound) as raised:
                    async with world.command(who) as hands:
                        await VERBS[verb](hands, row.id, row)
                told.append((raised.value.detail, raised.value.members, raised.value.faults, raised.value.hint))
        assert len({repr(each) for each in told}) == 1
        assert (await world.get(Branch, theirs.id, who=GLOBEX)).version == 1

    async def test_many_rows_are_changed_within_the_tenant(
        self, world: World, branches: dict[str, list[Branch]]
    ) -> None:
        async with world.command(ACME) as hands:
            assert await hands.bulk(Branch).update(all_of(), set={"rank": 4}) == 2
            assert await hands.bulk(Branch).update(tenant_id="globex", set={"rank": 4}) == 0
            assert await hands.bulk(Branch).delete(all_of()) == 2
        async with world.command(LOOSE) as hands:
            assert await hands.bulk(Branch).update(all_of(), set={"rank": 4}) == 0
            assert await hands.bulk(Branch).delete(all_of()) == 0
        assert [(row.id, row.rank) for row in await world.all(Branch, who=OPERATOR)] == [(branches["globex"][0].id, 7)]
        assert [row.text for row in await world.all(Member, who=OPERATOR)] == ["g"]

    async def test_a_unique_field_is_unique_in_its_tenant(
        self, world: World, branches: dict[str, list[Branch]]
    ) -> None:
        with pytest.raises(UniqueConflict) as raised:
            await world.add(Branch(name="north"), who=ACME)
        assert raised.value.members["field"] == "name"
        (east,) = await world.add(Branch(name="east"), who=GLOBEX)
        async with world.command(ACME) as hands:
            await hands.rows(Branch).update(branches["acme"][0], name="east")
        with pytest.raises(UniqueConflict):
            async with world.command(GLOBEX) as hands:
                await hands.rows(Branch).update(east, name="north")
        for who in (ACME, GLOBEX):
            await world.add(Branch(name="a", code="X"), Branch(name="b"), Branch(name="c"), who=who)
            with pytest.raises(UniqueConflict) as raised:
                await world.add(Branch(name="d", code="X"), who=who)
            assert raised.value.members["field"] == "code"
            async with world.query(who) as hands:
                assert (await hands.rows(Branch).one(code="X")).name == "a"
        async with world.query(OPERATOR) as hands:
            assert await hands.rows(Branch).count(code="X") == 2
            assert await hands.rows(Branch).count(name="a", tenant_id="acme") == 1

    async def test_a_unique_value_is_looked_for_in_its_tenant(
        self, world: World, branches: dict[str, list[Branch]]
    ) -> None:
        async with world.command(ACME) as hands:
            north = await hands.rows(Branch).one(name="north")
            await hands.rows(Branch).update(north, rank=5)
        assert north.id == branches["acme"][0].id
        async with world.command(GLOBEX) as hands:
            with pytest.raises(NotFound):
                await hands.rows(Branch).one(name="south")
            await hands.rows(Branch).add(Branch(name="south"))
        assert await world.all(Branch, who=ACME, name="south") == [branches["acme"][1]]

    @pytest.mark.parametrize("work", REFERRING)
    async def test_a_reference_stays_within_the_tenant(
        self, world: World, branches: dict[str, list[Branch]], work: str
    ) -> None:
        told = []
        (member,) = await world.add(Member(branch_id=branches["acme"][0].id), who=ACME)
        for id_ in (branches["globex"][0].id, ABSENT):
            with pytest.raises(ReferenceConflict) as raised:
                async with world.command(ACME) as hands:
                    await REFERRING[work](hands, id_, member)
            told.append((raised.value.detail, raised.value.members, raised.value.faults))
        assert told[0] == told[1]
        async with world.command(ACME) as hands:
            await REFERRING[work](hands, branches["acme"][1].id, member)

    async def test_who_works_on_the_rows_of_all_names_the_tenant_and_does_not_mix_them(
        self, world: World, branches: dict[str, list[Branch]]
    ) -> None:
        acme, globex = branches["acme"][0], branches["globex"][0]
        of_acme: Any = {"tenant_id": "acme"}
        with pytest.raises(NoTenant):
            await world.add(Branch(name="x"), who=OPERATOR)
        (added,) = await world.add(Branch(name="x", members=[Member()], **of_acme), who=OPERATOR)
        assert added.id in {row.id for row in await world.all(Branch, who=ACME)}
        assert added.members[0].id in {row.id for row in await world.all(Member, who=ACME)}
        await world.add(Member(branch_id=acme.id, **of_acme), who=OPERATOR)
        with pytest.raises(ReferenceConflict):
            await world.add(Member(branch_id=globex.id, **of_acme), who=OPERATOR)
        with pytest.raises(ValueError, match="another tenant"):
            await world.add(Branch(name="y", members=[Member(**of_acme)], tenant_id="globex"), who=OPERATOR)
        (member,) = await world.all(Member, branch_id=globex.id, who=OPERATOR)
        with pytest.raises(ReferenceConflict):
            async with world.command(OPERATOR) as hands:
                await hands.rows(Member).update(member, branch_id=acme.id)
        with pytest.raises(NoTenant):
            async with world.command(OPERATOR) as hands:
                await hands.bulk(Member).update(all_of(), set={"branch_id": acme.id})
        async with world.command(OPERATOR) as hands:
            assert (await hands.rows(Member).update(member, branch_id=globex.id, text="same")).text == "same"
            assert await hands.bulk(Branch).update(all_of(), set={"rank": 3}) == 4

    async def test_who_has_no_tenant_may_add_nothing(self, world: World) -> None:
        rows: list[Any] = [Branch(name="x"), Branch(name="x", tenant_id="acme"), Site(name="x")]
        for who in (LOOSE, Principal.anonymous):
            for row in rows:
                with pytest.raises(NoTenant):
                    await world.add(row, who=who)
        assert await world.all(Branch, who=OPERATOR) == []

    async def test_the_system_acts_for_the_tenant_that_it_is_given(
        self, world: World, branches: dict[str, list[Branch]]
    ) -> None:
        system = Principal.system.acting_for("globex")
        assert (system.id, system.is_system) == (Principal.system.id, True)
        assert [row.id for row in await world.all(Branch, who=system)] == [row.id for row in branches["globex"]]
        await world.add(Branch(name="new"), who=system)
        assert await world.all(Branch, name="new", who=ACME) == []
        assert await world.all(Site, who=Principal.system) == []
        with pytest.raises(NoTenant):
            await world.add(Site(name="x"), who=Principal.system)

    async def test_a_cursor_is_of_its_tenant(self, world: World, branches: dict[str, list[Branch]]) -> None:
        async with world.query(ACME) as hands:
            first = await hands.rows(Branch).page(limit=1, sort="rank")
        moved = msgspec.structs.replace(ACME, tenant="globex")
        for who in (GLOBEX, moved, msgspec.structs.replace(ACME, tenant=None)):
            async with world.query(who) as hands:
                with pytest.raises(CursorInvalid):
                    await hands.rows(Branch).page(limit=1, sort="rank", cursor=first.next)
        async with world.query(ACME) as hands:
            following = await hands.rows(Branch).page(limit=1, sort="rank", cursor=first.next)
        assert [row.id for row in (*first.items, *following.items)] == [row.id for row in branches["acme"]]

    async def test_a_tenant_may_be_a_uuid(self, world: World) -> None:
        one, other = (Principal(id=ACME.id, tenant=str(UUID(int=number))) for number in (1, 2))
        (site,) = await world.add(Site(name="x"), who=one)
        await world.add(Site(name="x"), who=other)
        assert site.org_id == UUID(int=1)
        assert await world.all(Site, who=one) == [site]
        with pytest.raises(UniqueConflict):
            await world.add(Site(name="x"), who=one)
        assert await world.all(Site, who=ACME) == []  # its tenant is no UUID
        with pytest.raises(Forbidden):
            await world.add(Site(name="x"), who=ACME)
