"""Encrypted fields: every store gives back what was put in, holds none of it, and opens nothing that was moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from mainstay.kernel.protect import encrypting
from mainstay.model.conditions import all_of, any_of, ge, ne
from mainstay.model.values import Secret
from mainstay.ports.aggregates import count_of
from mainstay.ports.encrypted_rows import EncryptedStore
from mainstay.ports.encryption import ValueUnreadable
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Store
from mainstay.testing.conformance.model import PLANS, Address, Colour, Grade, Vault
from mainstay.testing.conformance.world import Entities, Hands, StoreSuite, World, opened
from mainstay.testing.fixed import fixed_cipher
from mainstay.testing.recorder import Recorder

MARK = "a value that nobody may find"
FULL: dict[str, Any] = {
    "text": f"{MARK} ✓",
    "raw": b"\x00\xff" + MARK.encode(),
    "number": -(2**63),
    "ratio": -1.5e-300,
    "amount": Decimal("-12345678.90"),
    "moment": datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC),
    "day": date(1899, 12, 31),
    "hour": time(23, 59, 59, 999999),
    "known": UUID(int=0xABCDEF),
    "flag": True,
    "colour": Colour.BLUE,
    "grade": Grade.HIGH,
    "places": [Address(street=MARK, numbers=[1, 2])],
    "notes": {"a": MARK},
    "token": Secret(MARK),
}


class VaultsOf(msgspec.Struct):
    """How many vaults have a text."""

    text: str
    vaults: int


ASKED: dict[str, Callable[[Hands], Awaitable[Any]]] = {
    "a value": lambda hands: hands.rows(Vault).page(text=MARK),
    "a term": lambda hands: hands.rows(Vault).page(number=ge(1)),
    "alternatives": lambda hands: hands.rows(Vault).count(any_of(title="a", text=MARK)),
    "an order": lambda hands: hands.rows(Vault).page(sort="-number"),
    "one": lambda hands: hands.rows(Vault).one(text=MARK),
    "a sum": lambda hands: hands.figures(Vault).sum("number"),
    "a maximum": lambda hands: hands.figures(Vault).max("text"),
    "a group": lambda hands: hands.figures(Vault).group(VaultsOf, by="text", vaults=count_of()),
    "a change of many": lambda hands: hands.bulk(Vault).update(text=MARK, set={"number": 1}),
    "a delete of many": lambda hands: hands.bulk(Vault).delete(text=MARK),
}


class EncryptionConformance(StoreSuite):
    """Rows with encrypted fields of every type."""

    entities: ClassVar[Entities] = (Vault,)
    recorder: Recorder

    @pytest_asyncio.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        """A fresh store behind what encrypts."""
        async with opened(self.make_store(tmp_path), self.entities) as world:
            self.recorder = Recorder()
            world.store = encrypting(world.store, PLANS, fixed_cipher(), self.recorder)
            yield world

    @staticmethod
    def bare(world: World) -> Store:
        """The store itself, as it is found by who has it and no key."""
        assert isinstance(world.store, EncryptedStore)
        return world.store.store

    async def stored(self, world: World) -> list[Any]:
        """Return the rows as they are stored."""
        transaction = self.bare(world).begin(write=False)
        try:
            return await transaction.rows(Vault).fetch(Query())
        finally:
            await transaction.rollback()

    async def test_every_type_comes_back_and_none_is_found_in_the_store(self, world: World) -> None:
        (full,) = await world.add(Vault(title="full", **FULL))
        (empty,) = await world.add(Vault(title="empty", text=""))
        assert await world.get(Vault, full.id) == full
        assert {name: getattr(full, name) for name in FULL} == FULL
        assert await world.all(Vault) == [full, empty]
        for row in await self.stored(world):
            held = [getattr(row, name) for name in FULL if getattr(row, name) is not None]
            assert all(isinstance(value, bytes) and MARK.encode() not in value for value in held)
            assert len(held) == (len(FULL) if row.id == full.id else 3)  # those that are not optional

    async def test_the_same_value_never_looks_the_same(self, world: World) -> None:
        one, other = await world.add(Vault(title="a", text=MARK), Vault(title="b", text=MARK))
        first = {row.id: row.text for row in await self.stored(world)}
        assert first[one.id] != first[other.id]
        async with world.command() as hands:
            await hands.rows(Vault).update(one, text=MARK)
        assert {row.id: row.text for row in await self.stored(world)}[one.id] != first[one.id]

    async def test_updates_of_one_and_of_many(self, world: World) -> None:
        one, other, third = await world.add(*(Vault(title=title, text=MARK, number=1) for title in "abc"))
        async with world.command() as hands:
            one = await hands.rows(Vault).update(one, title="z", number=None)
            assert await hands.rows(Vault).get(one.id) == one
        async with world.command() as hands:
            assert await hands.bulk(Vault).update(all_of(title=ne("z")), set={"text": "other", "number": 7}) == 2
        async with world.command() as hands:
            await hands.bulk(Vault).update(all_of(), set={"shelf": "same"})
        found = {row.id: row for row in await world.all(Vault)}
        assert [(found[row.id].text, found[row.id].number) for row in (one, other, third)] == [
            (MARK, None),
            ("other", 7),
            ("other", 7),
        ]
        assert {found[row.id].version for row in (other, third)} == {3}
        async with world.command() as hands:
            await hands.rows(Vault).delete(found[one.id])
            assert await hands.bulk(Vault).delete(shelf="same") == 2

    async def test_an_upsert_keeps_what_is_bound_to_the_row(self, world: World) -> None:
        async with world.command() as hands:
            made = await hands.rows(Vault).upsert(Vault(title="a", text=MARK, number=1), on="title")
        async with world.command() as hands:
            changed = await hands.bulk(Vault).upsert(
                [Vault(title="a", text="new", number=2), Vault(title="b", text="b")], on="title"
            )
        assert [(each.created, each.row.text) for each in changed] == [(False, "new"), (True, "b")]
        assert (await world.get(Vault, made.row.id)).number == 2

    async def test_rows_are_found_by_whether_there_is_a_value(self, world: World) -> None:
        one, _ = await world.add(Vault(title="a", number=1), Vault(title="b"))
        async with world.query() as hands:
            assert (await hands.rows(Vault).page(number=ne(None))).items == [one]
            assert await hands.rows(Vault).count(~all_of(number=None)) == 1
            assert await hands.figures(Vault).count(any_of(title="b", number=None)) == 1

    @pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
    async def test_nothing_is_found_by_a_value(self, world: World, asked: Callable[[Hands], Awaitable[Any]]) -> None:
        async with world.abandoned() as hands:
            with pytest.raises(TypeError, match=r"Vault\.(text|number) is encrypted"):
                await asked(hands)

    async def move(self, world: World, id: UUID, **values: Any) -> None:
        """Change what is stored, as who has the database and no key can."""
        transaction = self.bare(world).begin(write=True)
        change = Change(where=all_of(id=id), changes={**values, "version": 1}, id=id, version=1, expected=1)
        transaction.rows(Vault).enqueue(change)
        await transaction.commit()

    async def test_a_value_opens_in_its_own_place_only(self, world: World) -> None:
        one, other = await world.add(Vault(title="a", text=MARK), Vault(title="b", text="b"))
        kept = {row.id: row for row in await self.stored(world)}
        cut, bent = kept[one.id].text[:-1], bytearray(kept[one.id].text)
        bent[-1] ^= 1
        moved = {"another row": kept[other.id].text, "another field": kept[one.id].raw, "cut": cut, "bent": bytes(bent)}
        for value in (*moved.values(), MARK.encode(), b""):
            await self.move(world, one.id, text=value)
            with pytest.raises(ValueUnreadable, match=r"Vault\.text of"):
                await world.get(Vault, one.id)
        notice = self.recorder.notices[-1]
        assert (notice.event, notice.facts["row"]) == ("encrypted_value_unreadable", str(one.id))
        assert MARK not in repr(self.recorder.notices)
        await self.move(world, one.id, text=kept[one.id].text)
        assert (await world.get(Vault, one.id)).text == MARK
