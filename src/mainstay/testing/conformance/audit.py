"""The audit trail: every change of a row with its values, whichever way it was made, and committed with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest

from mainstay.model.conditions import all_of, ge
from mainstay.model.principal import Principal
from mainstay.model.problem import Forbidden, NotFound, UniqueConflict
from mainstay.model.values import Secret
from mainstay.ports.audit import AuditEntry
from mainstay.ports.auditing import MASK, Altered, AuditAction, AuditRow
from mainstay.ports.cursor import CursorInvalid
from mainstay.ports.repository import Repository
from mainstay.testing.conformance.model import Account, Case, Colour, Pin, Reader, Step
from mainstay.testing.conformance.world import ALICE, BOB, SUPPORT, Entities, StoreSuite, World

AMY = Principal(id=UUID(int=0xACE), subject="amy", tenant="acme")
GUS = Principal(id=UUID(int=0x610B), subject="gus", tenant="globex")
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def told(entries: list[AuditEntry]) -> list[tuple[Any, ...]]:
    """Return what entries say was done."""
    return [
        (entry.action.value, entry.version, {name: (each.old, each.new) for name, each in entry.changes.items()})
        for entry in entries
    ]


class AuditConformance(StoreSuite):
    """What is written down of each write, and who may read it."""

    entities: ClassVar[Entities] = (Account, Case, Step, Reader, AuditRow)

    async def _of(self, world: World, entity: type[Any], id: UUID, who: Principal = SUPPORT) -> list[AuditEntry]:
        async with world.query(who) as hands:
            return (await hands.audit(entity).of(id)).items

    async def _rows(self, world: World) -> int:
        async with world.query() as hands:
            return await hands.unit.transaction().rows(AuditRow).count(all_of())

    async def test_an_entry_says_who_did_what_when_and_in_which_call(self, world: World) -> None:
        async with world.command(AMY, operation="open") as hands:
            case = await hands.rows(Case).add(Case(title="a"))
        (entry,) = await self._of(world, Case, case.id, AMY)
        assert (entry.actor_id, entry.actor, entry.tenant) == (AMY.id, "amy", "acme")
        assert (entry.operation, entry.request_id, entry.traceparent) == ("open", "request", "trace")
        assert (entry.action, entry.version, entry.at) == (AuditAction.ADD, 1, world.clock.now())

    async def test_each_write_has_its_values(self, world: World) -> None:
        async with world.command(ALICE) as hands:
            rows = hands.rows(Account)
            account = await rows.add(Account(name="a", balance=Decimal("1.50"), opened=AT, tags=["x"], limits={"d": 1}))
            account = await rows.update(account, balance=Decimal("2.00"), colour=Colour.RED, name="a")
            await rows.update(account)
        async with world.command(ALICE) as hands:
            await hands.rows(Account).delete(await hands.rows(Account).get(account.id))
        owned = str(ALICE.id)
        opened = {"owner_id": owned, "name": "a", "opened": "2026-03-01T12:30:00Z", "tags": ["x"], "limits": {"d": 1}}
        last, same, changed, first = told(await self._of(world, Account, account.id, ALICE))
        added = {**opened, "balance": "1.50", "remark": ""}
        assert first == (
            "add",
            1,
            {name: (None, value) for name, value in added.items() if name != "remark"} | {"remark": (None, MASK)},
        )
        assert changed == ("update", 2, {"balance": ("1.50", "2.00"), "colour": (None, "red")})
        assert same == ("update", 3, {})
        gone = {**opened, "balance": "2.00", "colour": "red"}
        assert last == ("delete", 3, {name: (value, None) for name, value in gone.items()} | {"remark": (MASK, None)})

    async def test_an_upsert_has_an_entry_of_what_it_did(self, world: World) -> None:
        for balance in ("1.00", "2.00"):
            async with world.command(ALICE) as hands:
                wanted = Account(name="a", balance=Decimal(balance))
                done = await hands.rows(Account).upsert(wanted, on="name", change=["balance"])
        changed, added = told(await self._of(world, Account, done.row.id, ALICE))
        assert changed == ("update", 2, {"balance": ("1.00", "2.00")})
        assert (added[:2], added[2]["balance"]) == (("add", 1), (None, "1.00"))

    async def test_a_delete_by_id_has_the_values_too(self, world: World) -> None:
        (account,) = await world.add(Account(name="a"), who=ALICE)
        async with world.command(ALICE) as hands:
            await hands.rows(Account).delete(account.id)
        assert (await self._of(world, Account, account.id, ALICE))[0].changes["name"] == Altered(old="a", new=None)

    async def test_no_secret_is_written_down(self, world: World) -> None:
        (account,) = await world.add(
            Account(name="a", token=Secret("hush-1"), pin=Pin(hint="h", digits="hush-2"), remark="hush-3"), who=ALICE
        )
        async with world.command(ALICE) as hands:
            account = await hands.rows(Account).update(
                account, token=Secret("hush-4"), pin=Pin(hint="h", digits="hush-5"), remark="hush-6"
            )
            await hands.bulk(Account).update(all_of(), set={"token": None})
        async with world.query() as hands:
            trail: Repository[AuditRow] = Repository(hands.unit, world.plans[Account].trail)
            entries = [row async for row in trail.stream(sort="id")]
        assert "hush" not in repr([entry.changes for entry in entries])
        added, updated, many = (entry.changes for entry in entries)
        assert (added["token"], added["remark"]) == (Altered(old=None, new=MASK), Altered(old=None, new=MASK))
        assert added["pin"].new == {"hint": "h", "digits": MASK}
        assert (updated["token"], updated["remark"]) == (Altered(old=MASK, new=MASK), Altered(old=MASK, new=MASK))
        assert many["token"] == Altered(old=MASK, new=None)

    async def test_many_rows_have_an_entry_each(self, world: World) -> None:
        async with world.command(ALICE) as hands:
            made = await hands.bulk(Account).add_all([Account(name=f"{n}", score=n) for n in range(3)])
        async with world.command(ALICE) as hands:
            assert await hands.bulk(Account).update(name=ge("1"), set={"balance": Decimal(5)}) == 2
            assert await hands.bulk(Account).delete(name="2") == 1
        assert [row[0] for row in told(await self._of(world, Account, made[0].id))] == ["add"]
        (changed, _) = told(await self._of(world, Account, made[1].id))
        assert changed == ("update", 2, {"balance": ("0.00", "5.00")})
        gone = await self._of(world, Account, made[2].id)
        assert [(entry.action.value, entry.version) for entry in gone] == [("delete", 2), ("update", 2), ("add", 1)]

    async def test_what_is_not_committed_is_not_written_down(self, world: World) -> None:
        await world.add(Account(name="a"), who=ALICE)
        before = await self._rows(world)
        async with world.abandoned(ALICE) as hands:
            await hands.rows(Account).add(Account(name="b"))
            await hands.unit.flush()
        with pytest.raises(UniqueConflict):
            await world.add(Account(name="a"), who=ALICE)
        await world.add(Reader(name="not audited"), who=ALICE)
        assert await self._rows(world) == before == 1

    async def test_what_is_kept_goes_and_comes_back(self, world: World) -> None:
        (case,) = await world.add(Case(title="a", steps=[Step(text="s")]), who=AMY)
        step = case.steps[0]
        async with world.command(AMY) as hands:
            await hands.rows(Case).delete(case.id)
        for entity, id_ in ((Case, case.id), (Step, step.id)):
            assert [(e.action.value, e.version) for e in await self._of(world, entity, id_, AMY)] == [
                ("delete", 2),
                ("add", 1),
            ]
        async with world.command(AMY) as hands:
            await hands.deleted(Case).restore(case.id)
        for entity, id_ in ((Case, case.id), (Step, step.id)):
            assert (await self._of(world, entity, id_, AMY))[0].action is AuditAction.RESTORE
        async with world.command(AMY) as hands:
            await hands.bulk(Case).delete(all_of())
        world.clock.advance(1)
        async with world.command(AMY) as hands:
            assert await hands.deleted(Case).purge(before=world.clock.now() + timedelta(1)) == 1
        for entity, id_ in ((Case, case.id), (Step, step.id)):
            entries = await self._of(world, entity, id_, AMY)
            assert [entry.action.value for entry in entries] == ["delete", "delete", "restore", "delete", "add"]
            with pytest.raises(NotFound):
                await self._of(world, entity, id_, GUS)

    async def test_who_may_not_see_a_row_may_not_see_what_was_done_to_it(self, world: World) -> None:
        (account,) = await world.add(Account(name="a"), who=ALICE)
        (case,) = await world.add(Case(title="a"), who=AMY)
        for entity, id_, who in (
            (Account, account.id, BOB),
            (Account, UUID(int=1), ALICE),
            (Account, case.id, SUPPORT),
            (Case, case.id, GUS),
            (Case, case.id, SUPPORT),
        ):
            with pytest.raises(NotFound):
                await self._of(world, entity, id_, who)
        async with world.command(ALICE) as hands:
            await hands.rows(Account).delete(account)
        assert len(await self._of(world, Account, account.id, ALICE)) == 2
        with pytest.raises(NotFound):
            await self._of(world, Account, account.id, BOB)

    async def test_a_masked_field_is_masked_in_its_past_too(self, world: World) -> None:
        (account,) = await world.add(Account(name="a", score=3), who=ALICE)
        (mine,) = await self._of(world, Account, account.id, ALICE)
        (theirs,) = await self._of(world, Account, account.id, SUPPORT)
        assert "score" not in mine.changes
        assert theirs.changes["score"] == Altered(old=None, new=3)

    async def test_a_trail_is_read_in_pages(self, world: World) -> None:
        (account,) = await world.add(Account(name="a"), who=ALICE)
        for size in range(4):
            async with world.command(ALICE) as hands:
                row = await hands.rows(Account).get(account.id)
                await hands.rows(Account).update(row, balance=Decimal(size + 1))
        versions: list[int] = []
        cursor = None
        for _ in range(3):
            async with world.query(ALICE) as hands:
                page = await hands.audit(Account).of(account.id, limit=2, cursor=cursor)
            versions += [entry.version for entry in page.items]
            cursor = page.next
        assert (versions, cursor) == ([5, 4, 3, 2, 1], None)
        async with world.query(ALICE) as hands:
            with pytest.raises(CursorInvalid):
                await hands.audit(Account).of(account.id, cursor="x")

    async def test_nobody_reaches_the_entries_past_it(self, world: World) -> None:
        (account,) = await world.add(Account(name="a"), who=ALICE)
        (entry,) = await self._of(world, Account, account.id)
        for who in (SUPPORT, Principal.system):
            async with world.query(who) as hands:
                assert await hands.rows(AuditRow).count() == 0
            async with world.command(who) as hands:
                assert await hands.bulk(AuditRow).delete(all_of()) == 0
            with pytest.raises(NotFound):
                async with world.command(who) as hands:
                    await hands.rows(AuditRow).delete(entry.id)
            with pytest.raises(Forbidden):
                async with world.command(who) as hands:
                    await hands.rows(AuditRow).add(_forged(account.id))
        assert await self._of(world, Account, account.id) == [entry]


def _forged(row_id: UUID) -> AuditRow:
    return AuditRow(
        table_name="library_account",
        row_id=row_id,
        row_version=9,
        action=AuditAction.UPDATE,
        actor_id=BOB.id,
        actor="bob",
        operation="none",
        request_id="",
        changes={},
    )
