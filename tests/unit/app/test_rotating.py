"""Encrypting anew under another key: all of it, again after a stop, beside commands of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstay import Entity, Module, Service, anyone, field
from mainstay.adapters.crypto.field_cipher import AesFieldCipher
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.privacy import rotating
from mainstay.app.privacy.rotating import Rotated, rotate
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.protect import encrypting
from mainstay.model.conditions import all_of
from mainstay.model.problem import SerializationConflict
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Store
from mainstay.testing import Client, FixedClock

OLD, NEW = "an old key of fields, for tests only", "a new key of fields, for tests only!"
BEFORE, DURING, AFTER = AesFieldCipher([OLD]), AesFieldCipher([NEW, OLD]), AesFieldCipher([NEW])


class Card(Entity):
    """A card."""

    number: str = field(encrypted=True)
    code: int | None = field(default=None, encrypted=True)
    note: str = ""


module = Module("shop")
module.resource(Card, path="/cards", read=anyone, create=anyone, update=anyone)
SERVICE = Service("shop", version="1", modules=[module])


def under(bound: Bound, store: Store, cipher: AesFieldCipher) -> Bound:
    """Return the same service with other keys on the same store."""
    ports = msgspec.structs.replace(bound.ports, store=store, cipher=cipher)
    return bind(SERVICE, ports)


async def fill(bound: Bound, store: Store, count: int) -> None:
    old = encrypting(store, bound.plans, BEFORE, bound.ports.observer)
    transaction = old.begin(write=True)
    now, ids = bound.ports.clock.now(), bound.ports.ids
    transaction.rows(Card).insert(
        [
            Card(id=ids.next(), version=1, created_at=now, updated_at=now, number=str(n), code=n if n % 2 else None)
            for n in range(count)
        ]
    )
    await transaction.commit()


async def numbers(bound: Bound) -> list[tuple[str, int]]:
    transaction = bound.ports.store.begin(write=False)
    rows = await transaction.rows(Card).fetch(Query())
    await transaction.rollback()
    return sorted((row.number, row.version) for row in rows)


def of_cards(found: list[Rotated]) -> Rotated:
    return next(each for each in found if each.entity == "Card")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: Any, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    return SqliteStore(tmp_path / "t.db", create=True, synchronous="off", clock=FixedClock().monotonic)


async def test_everything_is_under_the_new_key_and_versions_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "PORTION", 7)
    async with Client(SERVICE, store=store) as client:
        await fill(client.bound, store, 30)
        bound = under(client.bound, store, DURING)
        before = await numbers(bound)
        counted = of_cards(await rotate(bound, change=False))
        assert (counted.rows, counted.changed, counted.keys) == (30, 30, {BEFORE.present: 45})
        assert of_cards(await rotate(bound, change=False)).changed == 30
        done = of_cards(await rotate(bound))
        assert (done.rows, done.changed, done.failed) == (30, 30, 0)
        again = of_cards(await rotate(bound))
        assert (again.changed, again.keys) == (0, {AFTER.present: 45})
        assert await numbers(under(client.bound, store, AFTER)) == before


async def test_what_does_not_open_is_told_and_the_rest_is_done(store: Store) -> None:
    async with Client(SERVICE, store=store) as client:
        await fill(client.bound, store, 12)
        transaction = store.begin(write=True)
        rows = await transaction.rows(Card).fetch(Query())
        for row, number in ((rows[0], rows[1].number), (rows[2], b"\1lost" + rows[2].number[5:])):
            change = Change(
                where=all_of(id=row.id), changes={"number": number, "version": 1}, id=row.id, version=1, expected=1
            )
            transaction.rows(Card).enqueue(change)
        await transaction.commit()
        done = of_cards(await rotate(under(client.bound, store, DURING)))
        assert (done.rows, done.failed) == (12, 2)
        assert set(done.unreadable) == {f"number of {rows[0].id}", f"number of {rows[2].id}"}
        assert done.keys[b"lost".hex()] == 1


async def test_commands_of_the_service_are_not_in_the_way(store: Store) -> None:
    async with Client(SERVICE, store=store) as client:
        await fill(client.bound, store, 60)
        bound = under(client.bound, store, DURING)
        ids = [row.id for row in await _rows(bound)]
        done, *_ = await asyncio.gather(rotate(bound), *(_write(bound, ids[n]) for n in range(0, 60, 3)))
        found = await _rows(under(client.bound, store, DURING))
        assert sum(row.note == "written" for row in found) == 20
        assert sorted(int(row.number) for row in found) == list(range(60))
        assert of_cards(done).failed == 0
        assert of_cards(await rotate(bound)).changed == 0


async def _rows(bound: Bound) -> list[Any]:
    transaction = bound.ports.store.begin(write=False)
    try:
        return await transaction.rows(Card).fetch(Query())
    finally:
        await transaction.rollback()


async def _write(bound: Bound, id: Any) -> None:
    for _ in range(50):
        transaction = bound.ports.store.begin(write=True)
        try:
            row = await transaction.rows(Card).get(id, all_of())
            await asyncio.sleep(0)
            changes = {"note": "written", "number": row.number, "version": row.version + 1}
            change = Change(where=all_of(id=id), changes=changes, id=id, version=row.version, expected=1, before=row)
            transaction.rows(Card).enqueue(change)
            await transaction.commit()
        except SerializationConflict:
            continue
        else:
            return
        finally:
            await transaction.rollback()
    raise AssertionError("50 conflicts")


async def test_a_portion_that_meets_a_command_is_done_again_with_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    async with Client(SERVICE, store=store) as client:
        await fill(client.bound, store, 5)
        bound = under(client.bound, store, DURING)
        begin, refused = store.begin, [3]

        def stubborn(**how: Any) -> Any:
            transaction = begin(**how)
            commit = transaction.commit

            async def committed() -> None:
                if refused[0]:
                    refused[0] -= 1
                    raise SerializationConflict
                await commit()

            monkeypatch.setattr(transaction, "commit", committed, raising=False)
            return transaction

        monkeypatch.setattr(store, "begin", stubborn)
        assert of_cards(await rotate(bound)).changed == 5
        refused[0] = 1000
        with pytest.raises(SerializationConflict):
            await rotate(under(client.bound, store, AesFieldCipher(["yet another key of fields for tests", NEW])))


async def test_a_service_without_encrypted_fields_has_nothing_to_rotate() -> None:
    class Plain(Entity):
        name: str

    plain = Module("plain")
    plain.entity(Plain)
    async with Client(Service("plain", version="1", modules=[plain])) as client:
        assert await rotate(client.bound) == []
