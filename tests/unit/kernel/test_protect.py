"""The store of a service with encrypted fields: put before the other one, with the kernel's own rows, or not at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mainstay import Entity, Module, Service, anyone, field
from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.bind import bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.records import IdempotencyRecord, InboxMessage, OutboxMessage
from mainstay.model.conditions import all_of
from mainstay.model.problem import Unavailable
from mainstay.model.schema import FieldKind
from mainstay.ports.encrypted_rows import EncryptedRows, EncryptedStore, EncryptedTransaction
from mainstay.ports.encryption import EncryptionKeyMissing
from mainstay.ports.rows import Change, Query, Rows
from mainstay.ports.store import Store, Transaction
from mainstay.testing import Client, FixedClock
from mainstay.testing.fixed import fixed_cipher


class Plain(Entity):
    """No field of it is encrypted."""

    name: str


class Card(Entity):
    """A card."""

    number: str = field(encrypted=True)
    limit: int | None = field(default=None, encrypted=True)
    note: str = ""


def service(*entities: type[Entity]) -> Service:
    module = Module("shop")
    for entity in entities:
        module.resource(entity, path=f"/{entity.__name__.lower()}s", read=anyone, create=anyone, update=anyone)
    return Service("shop", version="1", modules=[module])


def ports_of(client: Client) -> Ports:
    return client.bound.ports


def test_a_service_without_encrypted_fields_pays_nothing() -> None:
    client = Client(service(Plain))
    assert not isinstance(ports_of(client).store, EncryptedStore)


def test_without_a_key_it_does_not_start() -> None:
    ports = msgspec.structs.replace(ports_of(Client(service(Plain))), cipher=None)
    assert bind(service(Plain), ports).faults == []
    found = [str(fault) for fault in bind(service(Card), ports).faults]
    assert len(found) == 2
    assert "Card.limit: it is encrypted, and there is no key (set encryption.key to a secret)" in found[0]


def test_the_store_below_is_given_bytes_and_nothing_to_look_at() -> None:
    client = Client(service(Card))
    table = next(table for table in client.bound.tables if table.shape.type is Card)
    number, limit = table.shape.by_name["number"], table.shape.by_name["limit"]
    assert (number.kind, number.optional, limit.optional) == (FieldKind.BYTES, False, True)
    assert number.hidden
    assert client.bound.plans[Card].shape.by_name["number"].kind is FieldKind.STRING


def behind(client: Client) -> Any:
    store: Any = ports_of(client).store
    return store.store


async def bare_rows(client: Client, entity: type[Entity]) -> list[Any]:
    transaction: Transaction = behind(client).begin(write=False)
    found = await transaction.rows(entity).fetch(Query())
    await transaction.rollback()
    return found


async def test_what_the_kernel_keeps_of_a_call_is_encrypted_too() -> None:
    async with Client(service(Card)) as client:
        first = await client.post("/cards", json={"number": "4711"}, key="once")
        again = await client.post("/cards", json={"number": "4711"}, key="once")
        assert (again.status, again.body) == (201, first.body)
        (record,) = await bare_rows(client, IdempotencyRecord)
        assert b"4711" not in record.reply
        assert record.fingerprint.startswith("encrypted:")
        other = await client.post("/cards", json={"number": "4712"}, key="once")
        assert other.json["code"] == "idempotency_key_reused"


async def test_records_from_before_the_first_encrypted_field_are_taken_as_they_are() -> None:
    store = MemoryStore()
    clock = FixedClock()
    async with Client(service(Plain), store=store, clock=clock) as client:
        first = await client.post("/plains", json={"name": "a"}, key="once")
        kept = dict(store.tables)
        async with Client(service(Plain, Card), store=store, clock=clock) as later:
            store.tables = {**store.tables, IdempotencyRecord: kept[IdempotencyRecord]}
            again = await later.post("/plains", json={"name": "a"}, key="once")
            assert (again.headers["idempotency-replayed"], again.body) == ("true", first.body)


async def test_a_message_from_before_is_read_and_one_of_now_is_encrypted() -> None:
    async with Client(service(Card)) as client:
        message = OutboxMessage(event="x", payload='{"card":"4711"}', principal="{}", id=msgspec.UNSET)  # type: ignore[arg-type]
        for place, store in enumerate((behind(client), ports_of(client).store)):
            transaction = store.begin(write=True)
            row = msgspec.structs.replace(message, id=ports_of(client).ids.next(), version=1, event=str(place))
            transaction.rows(OutboxMessage).insert([row])
            await transaction.commit()
        assert [row.payload for row in await client.stored(OutboxMessage)] == ['{"card":"4711"}'] * 2
        bare = {row.event: row.payload for row in await bare_rows(client, OutboxMessage)}
        assert bare["0"] == '{"card":"4711"}'
        assert bare["1"].startswith("encrypted:")


async def test_a_key_that_is_not_there_is_said_and_nothing_is_shown() -> None:
    async with Client(service(Card)) as client:
        (card,) = await client.given(Card(number="4711"))
        transaction = behind(client).begin(write=True)
        (row,) = await transaction.rows(Card).fetch(Query())
        foreign = b"\1" + b"what" + row.number[5:]
        change = Change(where=all_of(id=card.id), changes={"number": foreign, "version": 1}, id=card.id, version=1)
        transaction.rows(Card).enqueue(change)
        await transaction.commit()
        answer = await client.get(f"/cards/{card.id}")
        assert (answer.status, answer.json["code"]) == (503, "encryption_key_missing")
        notice = next(each for each in client.recorder.notices if each.event == "encryption_key_missing")
        assert notice.facts == {"field": "Card.number", "row": str(card.id), "key": b"what".hex()}
        assert (await client.get("/cards")).status == 503
        assert (await client.get("/cards?fields=note,limit")).status == 200  # what is not shown is not opened
    assert issubclass(EncryptionKeyMissing, Unavailable)


async def test_a_queued_change_of_an_encrypted_field_names_its_row() -> None:
    async with Client(service(Card)) as client:
        transaction = ports_of(client).store.begin(write=True)
        with pytest.raises(TypeError, match=r"number, limit that is queued names its row"):
            transaction.rows(Card).enqueue(Change(where=all_of(), changes={"number": "1"}))
        transaction.rows(Card).enqueue(Change(where=all_of(), changes={"note": "x"}))
        await transaction.rollback()


async def test_a_stream_that_is_left_is_closed_below() -> None:
    async with Client(service(Card)) as client:
        await client.given(*(Card(number=str(number)) for number in range(3)))
        transaction = ports_of(client).store.begin(write=False)
        rows = transaction.rows(Card).stream(Query())
        assert (await anext(rows)).number == "0"
        await rows.aclose()
        unread = transaction.rows(Card).stream(Query(unread=("number",)))
        assert isinstance((await anext(unread)).number, bytes)
        await unread.aclose()
        await transaction.rollback()


def test_the_store_in_front_says_what_the_one_behind_says() -> None:
    store = ports_of(Client(service(Card))).store
    assert isinstance(store, EncryptedStore)
    assert store.capabilities is store.store.capabilities
    assert store.encrypted.keys() == {Card, OutboxMessage, InboxMessage, IdempotencyRecord}
    assert store.cipher.present == fixed_cipher().present
    assert (store.health(), store.degraded()) == (store.store.health(), None)
    assert store.delay(write=True) == 0.0
    store.ring()  # nobody is there to hear it, in memory
    assert (store.current(), store.statistics()) == (store.store.current(), store.store.statistics())


@pytest.mark.parametrize(
    ("face", "own"), [(Store, EncryptedStore), (Transaction, EncryptedTransaction), (Rows, EncryptedRows)]
)
def test_all_that_can_be_asked_is_passed_on(face: type[Any], own: type[Any]) -> None:
    asked = {name for name, value in vars(face).items() if callable(value) and not name.startswith("_")}
    between = own.__mro__[: own.__mro__.index(face)]
    passed_on = {name for each in between for name in vars(each)}
    assert asked - passed_on <= {"merge", "keep"}  # upserts look first, and what is kept has to be opened


async def test_what_a_transaction_has_of_its_own_is_found_behind() -> None:
    async with Client(service(Card)) as client:
        transaction = ports_of(client).store.begin(write=False)
        with pytest.raises(AttributeError, match="dialect"):
            _ = transaction.dialect  # type: ignore[attr-defined]
        await transaction.rollback()
