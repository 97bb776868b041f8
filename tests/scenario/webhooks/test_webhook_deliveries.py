"""Deliveries over days, by a clock that the test decides: retried, given up, sent again, and ended by the receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from accounts_service import undeclared
from webhook_shop import Notice, registered, said, shop

from mainstay.adapters.memory.http import MemoryHttp
from mainstay.ports.http import AddressRefused, HttpAnswer, HttpFailed
from mainstay.ports.http_exchange import HttpRequest
from mainstay.testing import Client, as_principal
from mainstay.webhooks.entities import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from mainstay.webhooks.lanes import FAILURES
from mainstay.webhooks.schedule import DELAYS

ANN = as_principal("ann")
PATIENT = 400 * 86_400.0  # an endpoint that may fail for as long as a test likes


class Receiver(MemoryHttp):
    """Answers as the test says at the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.says: Callable[[HttpRequest], HttpAnswer] = lambda _: HttpAnswer(status=204)

    def answer(self, status: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.says = lambda _: HttpAnswer(status=status, headers=named)

    def fail(self, failure: Exception) -> None:
        def raising(_: HttpRequest) -> HttpAnswer:
            raise failure

        self.says = raising

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return self.says(request)


@pytest.fixture
def http() -> Receiver:
    return Receiver()


@pytest.fixture
async def client(http: Receiver) -> AsyncIterator[Client]:
    async with Client(shop(disable_seconds=PATIENT), http=http) as client:
        yield client
        assert undeclared(client) == set()


async def place(client: Client, orders: int = 1) -> None:
    for _ in range(orders):
        assert (await client.post("/orders", who=ANN, json={"customer_id": str(ANN.id)})).status == 201
    await client.deliver()


async def the(client: Client) -> WebhookDelivery:
    (delivery,) = await client.stored(WebhookDelivery)
    return delivery


async def endpoint_of(client: Client) -> WebhookEndpoint:
    (endpoint,) = await client.stored(WebhookEndpoint)
    return endpoint


async def test_a_message_is_tried_for_days_under_one_id_and_then_has_failed(client: Client, http: Receiver) -> None:
    await registered(client, ANN)
    http.answer(500)
    await place(client)
    waited = []
    while (delivery := await the(client)).due_at is not None:
        waited.append((delivery.due_at - client.clock.now()).total_seconds())
        client.clock.set(delivery.due_at)
        await client.deliver()
    assert len(http.requests) == len(DELAYS) + 1
    assert all(want <= got <= want * 1.1 + 1 for want, got in zip(DELAYS, waited, strict=True))
    assert len({sent.headers["webhook-id"] for sent in http.requests}) == 1
    assert len({sent.headers["webhook-timestamp"] for sent in http.requests}) == len(http.requests)
    assert len({sent.body for sent in http.requests}) == 1
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.FAILED, len(DELAYS) + 1, 500)
    assert len(await client.stored(WebhookAttempt)) == len(DELAYS) + 1


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_only_a_success_takes_a_message(client: Client, http: Receiver, status: int) -> None:
    await registered(client, ANN)
    http.answer(status)
    await place(client)
    assert (await the(client)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_anything_else_has_it_sent_again(client: Client, http: Receiver, status: int) -> None:
    await registered(client, ANN)
    http.answer(status, location="https://elsewhere.example/")
    await place(client)
    delivery = await the(client)
    assert (delivery.state, delivery.last_status, delivery.last_cause) == (DeliveryState.PENDING, status, "refused")
    assert [sent.target.host for sent in http.requests] == ["one.example"]


@pytest.mark.parametrize("failure", [HttpFailed("no route to 10.0.0.1"), AddressRefused("it is private")])
async def test_why_there_was_no_answer_is_not_told(client: Client, http: Receiver, failure: Exception) -> None:
    await registered(client, ANN)
    http.fail(failure)
    await place(client)
    delivery = await the(client)
    assert (delivery.last_status, delivery.last_cause) == (None, "no_answer")
    shown = [
        await client.get(f"/webhooks/deliveries/{delivery.id}", who=ANN),
        await client.get(f"/webhooks/deliveries/{delivery.id}/attempts", who=ANN),
    ]
    assert all("10.0.0.1" not in answer.text and "private" not in answer.text for answer in shown)


async def test_a_receiver_that_asks_to_wait_is_waited_for(client: Client, http: Receiver) -> None:
    await registered(client, ANN)
    http.answer(429, retry_after="3600")
    await place(client)
    due = (await the(client)).due_at
    assert due is not None
    assert due - client.clock.now() >= timedelta(seconds=3600)


async def test_an_endpoint_that_fails_rests_and_what_waits_for_it_costs_no_attempt(
    client: Client, http: Receiver
) -> None:
    await registered(client, ANN)
    http.answer(500)
    await place(client, FAILURES + 20)
    assert len(http.requests) < FAILURES + 5
    untried = [d for d in await client.stored(WebhookDelivery) if not d.attempts]
    assert len(untried) > 10
    http.answer(200)
    for _ in range(60):
        client.clock.advance(10)
        await client.deliver()
    assert {d.state for d in await client.stored(WebhookDelivery)} == {DeliveryState.DELIVERED}
    assert (await endpoint_of(client)).failing_since is None


async def test_who_is_gone_is_told_nothing_more_and_its_owner_hears_of_it(client: Client, http: Receiver) -> None:
    await registered(client, ANN)
    http.answer(410)
    await place(client)
    endpoint = await endpoint_of(client)
    assert (endpoint.disabled_reason, endpoint.failing_status) == ("gone", 410)
    assert endpoint.disabled_at is not None
    assert [(n.owner_id, n.reason) for n in await client.stored(Notice)] == [(ANN.id, "gone")]
    delivery = await the(client)
    assert (delivery.state, delivery.due_at) == (DeliveryState.FAILED, None)
    await place(client, 3)
    assert len(http.requests) == 1
    assert len(await client.stored(WebhookDelivery)) == 1


async def test_who_fails_for_long_is_disabled(http: Receiver) -> None:
    async with Client(shop(disable_seconds=5 * 86_400.0), http=http) as client:
        await registered(client, ANN)
        http.answer(500)
        await place(client)
        began = client.clock.now()
        while (await endpoint_of(client)).disabled_at is None:
            client.clock.advance(6 * 3600)
            await place(client)
        assert timedelta(days=5) <= client.clock.now() - began <= timedelta(days=5, hours=6)
        assert [n.reason for n in await client.stored(Notice)] == ["failing"]
        assert {d.state for d in await client.stored(WebhookDelivery)} == {DeliveryState.FAILED}


async def test_a_success_in_between_keeps_an_endpoint_going(http: Receiver) -> None:
    async with Client(shop(disable_seconds=86_400.0), http=http) as client:
        await registered(client, ANN)
        for _ in range(8):
            http.answer(500)
            await place(client)
            client.clock.advance(12 * 3600)
            http.answer(200)
            await client.deliver()
            client.clock.advance(700)
        assert (await endpoint_of(client)).disabled_at is None


async def test_an_owner_disables_and_enables(client: Client, http: Receiver) -> None:
    one, _ = await registered(client, ANN)
    http.answer(500)
    await place(client)
    disabled = [await client.post(f"/webhooks/endpoints/{one}/disable", who=ANN) for _ in range(2)]
    assert [answer.json["disabled_reason"] for answer in disabled] == ["owner", "owner"]
    client.clock.advance(86_400)
    await place(client)
    assert len(http.requests) == 1
    assert [n.reason for n in await client.stored(Notice)] == ["owner"]
    refused = await client.post(f"/webhooks/endpoints/{one}/test", who=ANN)
    assert (refused.status, refused.code) == (409, "endpoint_is_disabled")
    enabled = await client.post(f"/webhooks/endpoints/{one}/enable", who=ANN)
    assert (enabled.json["disabled_at"], enabled.json["failing_since"]) == (None, None)
    http.answer(200)
    await place(client)
    assert len(http.requests) == 2


async def test_one_delivery_is_sent_again_under_its_id(client: Client, http: Receiver) -> None:
    await registered(client, ANN)
    await place(client)
    delivery = await the(client)
    again = await client.post(f"/webhooks/deliveries/{delivery.id}/resend", who=ANN)
    assert (again.status, again.json["state"]) == (202, "pending")
    await client.deliver()
    first, second = http.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert (await the(client)).state is DeliveryState.DELIVERED


async def test_what_failed_since_a_time_is_sent_again(client: Client, http: Receiver) -> None:
    one, _ = await registered(client, ANN)
    http.answer(500)
    await place(client)
    await client.post(f"/webhooks/endpoints/{one}/disable", who=ANN)
    await client.post(f"/webhooks/endpoints/{one}/enable", who=ANN)
    client.clock.advance(3600)
    since = client.clock.now().isoformat()
    await place(client, 2)
    await client.post(f"/webhooks/endpoints/{one}/disable", who=ANN)
    await client.post(f"/webhooks/endpoints/{one}/enable", who=ANN)
    http.answer(200)
    begun = await client.post(f"/webhooks/endpoints/{one}/resend", who=ANN, json={"since": since})
    assert (begun.status, begun.json) == (202, {"deliveries": 2})
    await client.deliver()
    states = [d.state for d in await client.stored(WebhookDelivery)]
    assert sorted(states) == [DeliveryState.DELIVERED, DeliveryState.DELIVERED, DeliveryState.FAILED]


async def test_the_order_of_messages_is_none_and_their_ids_are_their_own(client: Client, http: Receiver) -> None:
    await registered(client, ANN)
    await registered(client, ANN, "https://two.example/hook")
    await place(client, 5)
    assert len({sent.headers["webhook-id"] for sent in http.requests}) == 10
    assert len({said(sent.body)["data"]["order_id"] for sent in http.requests}) == 5


async def test_a_secret_that_cannot_be_opened_fails_the_delivery_and_sends_nothing(
    client: Client, http: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(client, ANN)
    sealer: Any = client.bound.ports.sealer
    monkeypatch.setattr(type(sealer), "open", lambda *_: None)
    await place(client)
    delivery = await the(client)
    assert (delivery.state, delivery.last_cause) == (DeliveryState.FAILED, "secret_unreadable")
    assert not http.requests


async def test_a_receiver_that_a_test_has_forgotten_is_told_to_the_test() -> None:
    async with Client(shop(), http=MemoryHttp()) as client:
        await registered(client, ANN)
        await client.post("/orders", who=ANN, json={"customer_id": str(ANN.id)})
        with pytest.raises(LookupError, match=r"one\.example"):
            await client.deliver()
