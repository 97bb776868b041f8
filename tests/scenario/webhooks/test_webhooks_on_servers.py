"""Webhooks on each kind of database: one whole story, the book of deliveries, and one message many times at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from document_stores import DOCUMENT_STORES, document_store
from mysql_databases import DatabaseStore, database_of
from mysql_databases import drop_databases as drop_mysql
from postgres_schemas import SchemaStore, drop_schemas, schema_of
from webhook_shop import Notice, registered, shop

from mainstay import Entity, Module, Principal, RawBody, Repository, Service
from mainstay.adapters.memory.http import MemoryHttp
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.kernel.flow.receipts import WebhookReceipt, purge_receipts
from mainstay.kernel.records import Records
from mainstay.model.signature_schemes import standard_signature
from mainstay.ports.http import HttpAnswer
from mainstay.ports.http_exchange import HttpRequest
from mainstay.ports.unit_of_work import Frame
from mainstay.testing import Client, FixedClock, as_principal
from mainstay.webhooks.book import DeliveryBook
from mainstay.webhooks.entities import (
    SHARES,
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mainstay.webhooks.shares import LOOK, RENEW, Shares

ANN = as_principal("ann")


class Receiver(MemoryHttp):
    """Answers with one status."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 500

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return HttpAnswer(status=self.status)


class Payment(Entity):
    amount: int


def bank() -> Service:
    module = Module("bank")

    @module.webhook("/hooks/bank", secret="bank")
    async def paid(body: RawBody, payments: Repository[Payment]) -> None:
        await payments.add(Payment(amount=len(body)))

    return Service("bank", modules=[module])


def store_of(kind: str, folder: Path, clock: FixedClock) -> Any:
    if kind == "sqlite":
        return SqliteStore(folder / "shop.sqlite", create=True, synchronous="off", clock=clock.monotonic)
    return (SchemaStore if kind == "postgresql" else DatabaseStore)(folder, clock=clock.monotonic)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", *DOCUMENT_STORES])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def place(kind: str, tmp_path: Path) -> AsyncIterator[tuple[Any, FixedClock]]:
    clock = FixedClock()
    if kind in DOCUMENT_STORES:
        async with document_store(kind, tmp_path) as store:
            yield store, clock
        return
    yield store_of(kind, tmp_path, clock), clock
    if kind == "postgresql":
        await drop_schemas([schema_of(tmp_path)])
    elif kind == "mariadb":
        await drop_mysql([database_of(tmp_path)])


def records_of(client: Client) -> Records:
    bound = client.bound
    ports = bound.ports
    frame = Frame(Principal.system, "webhooks", ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)
    return Records(frame)


async def order(client: Client) -> None:
    assert (await client.post("/orders", who=ANN, json={"customer_id": str(ANN.id)})).status == 201
    await client.deliver()


async def test_from_the_endpoint_to_its_end(place: tuple[Any, FixedClock]) -> None:
    http = Receiver()
    async with Client(shop(), store=place[0], clock=place[1], http=http) as client:
        one, _ = await registered(client, ANN)
        await order(client)
        await order(client)
        at = f"/webhooks/endpoints/{one}"
        assert (await client.post(f"{at}/secret/rotate", who=ANN, json={})).status == 200
        assert (await client.post(f"{at}/disable", who=ANN)).status == 200
        assert {d.state for d in await client.stored(WebhookDelivery)} == {DeliveryState.FAILED}
        assert (await client.post(f"{at}/enable", who=ANN)).status == 200
        since = {"since": "2020-01-01T00:00:00Z"}
        assert (await client.post(f"{at}/resend", who=ANN, json=since)).json == {"deliveries": 2}
        http.status = 204
        await client.deliver()
        listed = await client.get("/webhooks/deliveries", who=ANN, query={"state": "delivered", "limit": "1"})
        assert (len(listed.json["items"]), "next" in listed.json) == (1, True)
        assert len(http.requests[-1].headers["webhook-signature"].split(" ")) == 2
        http.status = 410
        await order(client)
        await client.deliver()
        assert [n.reason for n in await client.stored(Notice)] == ["owner", "gone"]
        assert (await client.delete(at, who=ANN)).status == 204
        for entity in (WebhookEndpoint, WebhookSecret, WebhookDelivery, WebhookAttempt):
            assert await client.stored(entity) == []


async def test_the_book_says_what_is_due_and_forgets_what_has_ended(place: tuple[Any, FixedClock]) -> None:
    http, everything = Receiver(), range(SHARES)
    async with Client(shop(), store=place[0], clock=place[1], http=http) as client:
        await registered(client, ANN)
        await registered(client, ANN, "https://two.example/hook")
        await order(client)
        book, clock = DeliveryBook(records_of(client)), client.clock
        assert await book.due(everything, (), (), 10) == []
        clock.advance(10)
        first, second = await book.due(everything, (), (), 10)
        assert await book.due(everything, (first.endpoint_id,), (), 10) == [second]
        assert await book.due(everything, (), (first.id,), 10) == [second]
        assert len(await book.due(everything, (), (), 1)) == 1
        mine = {first.share, second.share}
        assert await book.due(set(everything) - mine, (), (), 10) == []
        await book.postpone([first.id], 60.0)
        assert await book.due(everything, (), (), 10) == [second]
        await book.give_up(second, "disabled")
        await book.give_up(second, "again")
        assert [d.last_cause for d in await client.stored(WebhookDelivery, id=second.id)] == ["disabled"]
        await book.purge(3600.0)
        assert len(await client.stored(WebhookDelivery)) == 2
        clock.advance(timedelta(hours=2))
        await book.purge(3600.0)
        assert [d.id for d in await client.stored(WebhookDelivery)] == [first.id]
        assert {a.delivery_id for a in await client.stored(WebhookAttempt)} == {first.id}
        assert len(await client.stored(WebhookSecret)) == 2


async def test_each_share_is_one_processs_and_passes_on(place: tuple[Any, FixedClock]) -> None:
    async with Client(shop(), store=place[0], clock=place[1]) as client:
        clock, everything = client.clock, set(range(SHARES))
        one, two = (Shares(records_of(client), name) for name in ("one", "two"))
        for _ in range(SHARES):
            await asyncio.gather(one.keep(), two.keep())
        assert set(one.held()) | set(two.held()) == everything
        assert not set(one.held()) & set(two.held())
        assert min(len(one.held()), len(two.held())) >= 2
        for _ in range(4):  # one is silent, and two renews
            clock.advance(RENEW)
            await two.keep()
        assert one.held() == ()
        for _ in range(SHARES):
            await two.keep()
        assert set(two.held()) == everything
        await one.keep()
        assert not one.held()
        await two.release()
        assert not two.held()
        clock.advance(LOOK)
        await one.keep()
        assert len(one.held()) == 1


async def test_many_attempts_at_once_are_all_put_on_record_the_first_time(
    kind: str, place: tuple[Any, FixedClock]
) -> None:
    http, orders = Receiver(), 2 if kind == "dynamodb" else 10  # its emulator takes one request at a time
    http.status = 204
    async with Client(shop(), store=place[0], clock=place[1], http=http) as client:
        for number in range(10):
            await registered(client, ANN, f"https://e{number}.example/hook")
        for _ in range(orders):
            assert (await client.post("/orders", who=ANN, json={"customer_id": str(ANN.id)})).status == 201
        await client.deliver()  # it raises what an attempt could not be put on record for
        assert len(http.requests) == len(await client.stored(WebhookAttempt)) == 10 * orders
        assert {d.state for d in await client.stored(WebhookDelivery)} == {DeliveryState.DELIVERED}


async def test_one_message_many_times_at_once_has_one_effect(place: tuple[Any, FixedClock]) -> None:
    async with Client(bank(), store=place[0], clock=place[1], secrets={"bank": "a key of both"}) as client:
        body, stamp = b"{}", str(int(client.clock.time()))
        signature = standard_signature(b"a key of both", "m-1", stamp, body)
        headers = {"webhook-id": "m-1", "webhook-timestamp": stamp, "webhook-signature": signature}
        path = "/hooks/bank"
        answers = await asyncio.gather(*(client.post(path, body=body, headers=headers) for _ in range(12)))
        assert sorted(answer.status for answer in answers) == [200] * 11 + [204]
        assert len(await client.stored(Payment)) == len(await client.stored(WebhookReceipt)) == 1
        client.clock.advance(timedelta(days=7))
        assert await purge_receipts(client.bound.ports) == 1
