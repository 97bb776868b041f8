"""Row policies in every verb: what a caller may not see is as if it were not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from mainstay.model.conditions import TRUE, ge
from mainstay.model.principal import Principal
from mainstay.model.problem import Forbidden, NotFound, ReferenceConflict
from mainstay.model.values import UNASSIGNED
from mainstay.ports.aggregates import count_of
from mainstay.ports.cursor import CursorInvalid
from mainstay.testing.conformance.model import Draft, Note, Parcel, Remark
from mainstay.testing.conformance.world import ALICE, BOB, NOBODY, SUPPORT, Entities, Hands, StoreSuite, World

ABSENT = UUID(int=0xABBA)
Verb = Callable[[Hands, UUID, Note], Awaitable[Any]]


class NotesOf(msgspec.Struct):
    """How many notes a caller has."""

    owner_id: UUID
    notes: int


VERBS: dict[str, Verb] = {
    "get": lambda hands, id_, _: hands.rows(Note).get(id_),
    "get with include": lambda hands, id_, _: hands.rows(Note).get(id_, include=["remarks"]),
    "one": lambda hands, id_, _: hands.rows(Note).one(id=id_),
    "delete by id": lambda hands, id_, _: hands.rows(Note).delete(id_),
    "delete the row": lambda hands, _, row: hands.rows(Note).delete(row),
    "update": lambda hands, _, row: hands.rows(Note).update(row, text="mine now"),
    "take over": lambda hands, _, row: hands.rows(Note).update(row, owner_id=hands.unit.frame.who.id),
}
REFERRING: list[Callable[[Hands, UUID, Remark], Awaitable[Any]]] = [
    lambda hands, id_, _: hands.rows(Remark).add(Remark(note_id=id_)),
    lambda hands, id_, remark: hands.rows(Remark).update(remark, note_id=id_),
    lambda hands, id_, _: hands.bulk(Remark).add_all([Remark(note_id=id_)]),
    lambda hands, id_, _: hands.bulk(Remark).update(text="", set={"note_id": id_}),
]


class PoliciesConformance(StoreSuite):
    """What each of two callers, and support, may find and change."""

    entities: ClassVar[Entities] = (Note, Remark, Parcel, Draft)

    @pytest_asyncio.fixture
    async def notes(self, world: World) -> dict[str, list[Note]]:
        """Three notes of Alice and two of Bob."""
        alice = [Note(text=f"a{n}", rank=n) for n in range(3)]
        bob = [Note(text=f"b{n}", rank=n) for n in range(2)]
        return {"alice": await world.add(*alice, who=ALICE), "bob": await world.add(*bob, who=BOB)}

    async def test_the_owner_is_set_from_the_caller(self, world: World) -> None:
        (note,) = await world.add(Note(text="a"), who=ALICE)
        assert note.owner_id == ALICE.id
        assert (await world.get(Note, note.id)).owner_id == ALICE.id
        (own,) = await world.add(Note(text="a", owner_id=ALICE.id), who=ALICE)
        assert own.owner_id == ALICE.id

    async def test_a_row_for_another_is_refused_except_to_whom_the_policy_allows_it(self, world: World) -> None:
        with pytest.raises(Forbidden):
            await world.add(Note(text="a", owner_id=BOB.id), who=ALICE)
        with pytest.raises(Forbidden):
            await world.add(Note(text="a"), who=Principal.anonymous)
        assert await world.all(Note) == []
        (note,) = await world.add(Note(text="a", owner_id=BOB.id), who=SUPPORT)
        assert await world.all(Note, who=BOB) == [note]

    async def test_each_sees_its_own_and_support_sees_all(self, world: World, notes: dict[str, list[Note]]) -> None:
        everything = [*notes["alice"], *notes["bob"]]
        for who, mine in (
            (ALICE, notes["alice"]),
            (BOB, notes["bob"]),
            (NOBODY, []),
            (Principal.anonymous, []),
            (SUPPORT, everything),
            (Principal.system, everything),
        ):
            async with world.query(who) as hands:
                rows, figures = hands.rows(Note), hands.figures(Note)
                assert [row async for row in rows.stream()] == mine
                assert (await rows.page(count=True)).items == mine
                assert (await rows.page(count=True)).count == len(mine)
                assert await rows.count() == await rows.count(TRUE) == await figures.count() == len(mine)
                assert await rows.count(rank=ge(1)) == len([note for note in mine if note.rank >= 1])
                assert await figures.sum("rank") == sum(note.rank for note in mine)
                grouped = await figures.group(NotesOf, by="owner_id", notes=count_of())
                assert {group.owner_id: group.notes for group in grouped} == {
                    owner: len([note for note in mine if note.owner_id == owner])
                    for owner in {note.owner_id for note in mine}
                }

    @pytest.mark.parametrize("verb", VERBS)
    async def test_hidden_and_absent_answer_alike(self, world: World, notes: dict[str, list[Note]], verb: str) -> None:
        answers = []
        theirs = notes["bob"][0]
        absent = msgspec.structs.replace(theirs, id=ABSENT)
        for row in (theirs, absent):
            with pytest.raises(NotFound) as raised:
                async with world.command(ALICE) as hands:
                    await VERBS[verb](hands, row.id, row)
            problem = raised.value
            answers.append((type(problem), problem.detail, problem.members, problem.faults, problem.hint))
        assert answers[0] == answers[1]
        assert await world.all(Note, who=BOB) == notes["bob"]

    async def test_a_row_of_another_in_an_old_version_is_absent_too(
        self, world: World, notes: dict[str, list[Note]]
    ) -> None:
        theirs = notes["bob"][0]
        async with world.command(BOB) as hands:
            await hands.rows(Note).update(theirs, text="newer")
        with pytest.raises(NotFound):
            async with world.command(ALICE) as hands:
                await hands.rows(Note).delete(theirs)

    async def test_a_row_cannot_be_given_away(self, world: World, notes: dict[str, list[Note]]) -> None:
        mine = notes["alice"][0]
        async with world.command(ALICE) as hands:
            with pytest.raises(Forbidden):
                await hands.rows(Note).update(mine, owner_id=BOB.id)
        async with world.command(SUPPORT) as hands:
            await hands.rows(Note).update(mine, owner_id=BOB.id)
        assert mine.id in {note.id for note in await world.all(Note, who=BOB)}

    async def test_many_rows_are_changed_within_reach_only(self, world: World, notes: dict[str, list[Note]]) -> None:
        async with world.command(ALICE) as hands:
            assert await hands.bulk(Note).update(rank=ge(1), set={"text": "same"}) == 2
            with pytest.raises(Forbidden):
                await hands.bulk(Note).update(rank=0, set={"owner_id": BOB.id})
            assert await hands.bulk(Note).update(rank=0, set={"owner_id": ALICE.id}) == 1
        assert await world.all(Note, who=BOB) == notes["bob"]
        async with world.command(BOB) as hands:
            assert await hands.bulk(Note).delete(rank=ge(0)) == 2
        assert len(await world.all(Note)) == 3

    async def test_a_reference_to_a_hidden_row_is_one_to_a_row_that_is_not_there(
        self, world: World, notes: dict[str, list[Note]]
    ) -> None:
        answers = []
        (remark,) = await world.add(Remark(note_id=notes["alice"][0].id), who=ALICE)
        for id_ in (notes["bob"][0].id, ABSENT):
            for work in REFERRING:
                with pytest.raises(ReferenceConflict) as raised:
                    async with world.command(ALICE) as hands:
                        await work(hands, id_, remark)
                problem = raised.value
                answers.append((problem.detail, problem.members, problem.faults))
        assert len({repr(answer) for answer in answers}) == 1
        mixed = [Remark(note_id=notes["alice"][1].id), Remark(note_id=notes["bob"][0].id)]
        with pytest.raises(ReferenceConflict):
            async with world.command(ALICE) as hands:
                await hands.bulk(Remark).add_all(mixed)
        assert await world.all(Remark) == [remark]

    async def test_many_references_are_checked_too(self, world: World, notes: dict[str, list[Note]]) -> None:
        most = world.store.capabilities.max_writes
        count = 600 if most is None else most // 8
        async with world.command(ALICE) as hands:
            mine = await hands.bulk(Note).add_all([Note(text="n") for _ in range(count)])
            await hands.bulk(Remark).add_all([Remark(note_id=note.id) for note in mine])
        with pytest.raises(ReferenceConflict):
            async with world.command(ALICE) as hands:
                await hands.bulk(Remark).add_all([Remark(note_id=note.id) for note in (*mine, notes["bob"][0])])
        assert len(await world.all(Remark)) == count

    async def test_a_policy_may_rest_on_a_claim(self, world: World) -> None:
        north, south, nowhere = await world.add(
            Parcel(region="north"), Parcel(region="south"), Parcel(region=None), who=SUPPORT
        )
        assert await world.all(Parcel, who=ALICE) == [north]
        assert await world.all(Parcel, who=BOB) == [south]
        assert await world.all(Parcel, who=NOBODY) == []
        assert await world.all(Parcel, who=SUPPORT) == [north, south, nowhere]
        with pytest.raises(Forbidden):
            await world.add(Parcel(region="south"), who=ALICE)
        with pytest.raises(Forbidden):
            await world.add(Parcel(), who=NOBODY)
        async with world.command(ALICE) as hands:
            with pytest.raises(Forbidden):
                await hands.rows(Parcel).update(north, region=None)
            with pytest.raises(Forbidden):
                await hands.bulk(Parcel).update(weight=1, set={"region": "south"})
            assert (await hands.rows(Parcel).update(north, weight=2)).weight == 2

    async def test_a_negated_policy_holds_of_null(self, world: World) -> None:
        none, plain, secret = await world.add(Draft(), Draft(state="plain"), Draft(state="secret"), who=SUPPORT)
        assert await world.all(Draft, who=ALICE) == [none, plain]
        assert await world.all(Draft, who=SUPPORT) == [none, plain, secret]
        with pytest.raises(Forbidden):
            await world.add(Draft(state="secret"), who=ALICE)
        async with world.command(ALICE) as hands:
            with pytest.raises(Forbidden):
                await hands.rows(Draft).update(none, state="secret")
            with pytest.raises(Forbidden):
                await hands.bulk(Draft).update(state=None, set={"state": "secret"})
            assert await hands.bulk(Draft).update(state="plain", set={"state": None}) == 1
        async with world.query(ALICE) as hands:
            with pytest.raises(NotFound):
                await hands.rows(Draft).get(secret.id)

    async def test_a_cursor_is_its_caller_s_own_and_the_policy_applies_anew(
        self, world: World, notes: dict[str, list[Note]]
    ) -> None:
        promoted = Principal(id=ALICE.id, roles=frozenset({"support"}))
        async with world.query(promoted) as hands:
            first = await hands.rows(Note).page(limit=1, sort="-rank")
        async with world.query(ALICE) as hands:
            assert (await hands.rows(Note).page(limit=10, sort="-rank", cursor=first.next)).items == [
                notes["alice"][1],
                notes["alice"][0],
            ]
        async with world.query(BOB) as hands:
            with pytest.raises(CursorInvalid):
                await hands.rows(Note).page(limit=10, sort="-rank", cursor=first.next)

    async def test_the_owner_is_set_in_bulk_and_in_relations(self, world: World) -> None:
        async with world.command(ALICE) as hands:
            (note,) = await hands.bulk(Note).add_all([Note(text="n", remarks=[Remark(text="r")])])
        assert note.owner_id == note.remarks[0].owner_id == ALICE.id != UNASSIGNED
        assert (await world.all(Remark, who=ALICE))[0].note_id == note.id
