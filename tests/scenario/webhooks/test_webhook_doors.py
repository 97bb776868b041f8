"""Webhooks at the doors: endpoints of one's own, secrets that are shown once, and what is told of deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from accounts_service import undeclared
from webhook_shop import OrderPlaced, is_signed, registered, said, shop

from mainstay import Principal, Webhooks, role
from mainstay.adapters.memory.http import MemoryHttp
from mainstay.model.faults import StartupFailed
from mainstay.ports.http import HttpAnswer
from mainstay.ports.http_exchange import HttpRequest
from mainstay.testing import Client, as_principal
from mainstay.webhooks.entities import WebhookDelivery, WebhookEndpoint, WebhookSecret
from mainstay.webhooks.secrets import context_of

ANN, BOB = as_principal("ann", tenant="acme"), as_principal("bob", tenant="acme")
EVE = as_principal("eve", tenant="evil")
CARL = as_principal("carl")
HOOK = "https://one.example/hook"


class Receivers(MemoryHttp):
    """Receivers that answer by their path: /hook takes everything, /503 answers that, and so on."""

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        last = request.target.path.rpartition("/")[2]
        return HttpAnswer(status=int(last) if last.isdigit() else 204)


@pytest.fixture
def http() -> Receivers:
    return Receivers()


@pytest.fixture
async def client(http: Receivers) -> AsyncIterator[Client]:
    async with Client(shop(), http=http) as client:
        yield client
        assert undeclared(client) == set()


async def place(client: Client, who: Principal, **more: Any) -> None:
    answer = await client.post("/orders", who=who, json={"customer_id": str(who.id), **more})
    assert answer.status == 201, answer
    await client.deliver()


async def test_an_endpoint_is_told_of_what_its_tenant_does(client: Client, http: Receivers) -> None:
    _, secret = await registered(client, ANN)
    await place(client, BOB, total=7)
    (sent,) = http.requests
    told = said(sent.body)
    assert (sent.method, sent.target.url, sent.headers["content-type"]) == ("POST", HOOK, "application/json")
    assert list(told) == ["type", "timestamp", "data"]
    assert told["type"] == "orders.OrderPlaced"
    assert told["data"]["total"] == 7
    assert is_signed(secret, sent.headers, sent.body)
    assert sent.headers["webhook-timestamp"] == str(int(client.clock.time()))


async def test_nobody_is_told_of_what_others_do(client: Client, http: Receivers) -> None:
    await registered(client, EVE)
    await registered(client, CARL)
    await place(client, ANN)
    assert not http.requests
    await place(client, CARL)
    assert len(http.requests) == 1


async def test_endpoints_and_deliveries_of_others_are_not_there(client: Client) -> None:
    mine, _ = await registered(client, ANN)
    await place(client, ANN)
    (delivery,) = (await client.get("/webhooks/deliveries", who=ANN)).json["items"]
    one, at = f"/webhooks/endpoints/{mine}", f"/webhooks/deliveries/{delivery['id']}"
    since = {"since": "2026-01-01T00:00:00Z"}
    for who in (EVE, CARL):
        for path in (one, at, f"{at}/attempts"):
            assert (await client.get(path, who=who)).status == 404
        assert (await client.patch(one, who=who, json={"description": "x"})).status == 404
        assert (await client.delete(one, who=who)).status == 404
        for path, body in (
            (f"{one}/secret/rotate", {}),
            (f"{one}/disable", None),
            (f"{one}/enable", None),
            (f"{one}/test", None),
            (f"{one}/resend", since),
            (f"{at}/resend", None),
        ):
            assert (await client.post(path, who=who, json=body)).status == 404, path
        for path in ("/webhooks/endpoints", "/webhooks/deliveries"):
            assert (await client.get(path, who=who)).json["items"] == []
    assert (await client.get("/webhooks/endpoints")).status == 401
    assert (await client.get(at, who=BOB)).status == 200


async def test_the_field_that_is_named_says_whose_an_event_is(http: Receivers) -> None:
    async with Client(shop(to="customer_id"), http=http) as client:
        await registered(client, ANN, "https://ann.example/hook")
        await registered(client, BOB, "https://bob.example/hook")
        clerk = as_principal("clerk", tenant="acme")
        await client.post("/orders", who=clerk, json={"customer_id": str(BOB.id)})
        await client.deliver()
        assert [sent.target.host for sent in http.requests] == ["bob.example"]


async def test_everybody_is_told_where_that_is_said(http: Receivers) -> None:
    async with Client(shop(to="*", allow=role("boss")), http=http) as client:
        boss = as_principal("boss", roles="boss")
        await registered(client, boss)
        assert (await client.post("/webhooks/endpoints", who=ANN, json={"url": HOOK})).status == 403
        await place(client, EVE)
        assert len(http.requests) == 1


async def test_an_endpoint_is_told_of_the_events_that_it_names(client: Client, http: Receivers) -> None:
    await registered(client, ANN, events=["orders.OrderPaid"])
    await place(client, ANN, paid=True)
    assert [said(sent.body)["type"] for sent in http.requests] == ["orders.OrderPaid"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "ftp://one.example/"}, "/url"),
        ({"url": "https://user@one.example/"}, "/url"),
        ({"url": "https://one.example/", "events": ["orders.OrderPaid", "store.Secret"]}, "/events/1"),
        ({"url": ""}, "/url"),
        ({"url": "https://one.example/" + "x" * 2048}, "/url"),
    ],
)
async def test_what_makes_no_endpoint_is_refused_with_its_place(client: Client, body: Any, pointer: str) -> None:
    made = await client.post("/webhooks/endpoints", who=ANN, json=body)
    assert (made.status, made.json["faults"][0]["pointer"]) == (422, pointer)
    one, _ = await registered(client, ANN)
    changed = await client.patch(f"/webhooks/endpoints/{one}", who=ANN, json=body)
    assert (changed.status, changed.json["faults"][0]["pointer"]) == (422, pointer)


async def test_the_secret_is_shown_once_and_stored_sealed(client: Client) -> None:
    one, secret = await registered(client, ANN)
    assert secret.startswith("whsec_")
    shown = [await client.get(f"/webhooks/endpoints/{one}", who=ANN), await client.get("/webhooks/endpoints", who=ANN)]
    assert all("whsec" not in answer.text and "sealed" not in answer.text for answer in shown)
    assert all("audience" not in answer.text for answer in shown)
    (row,) = await client.stored(WebhookSecret)
    assert secret not in row.sealed
    sealer = client.bound.ports.sealer
    assert sealer.open(row.sealed, context_of(row.endpoint_id)) == secret.encode()
    assert sealer.open(row.sealed, context_of(uuid4())) is None


async def test_a_secret_is_replaced_with_an_overlap(client: Client, http: Receivers) -> None:
    one, old = await registered(client, ANN)
    rotated = await client.post(f"/webhooks/endpoints/{one}/secret/rotate", who=ANN, json={"overlap_seconds": 60})
    new = rotated.json["secret"]
    await place(client, ANN)
    client.clock.advance(61)
    await place(client, ANN)
    during, behind = http.requests
    assert [is_signed(secret, during.headers, during.body) for secret in (new, old)] == [True, True]
    assert during.headers["webhook-signature"].split(" ")[0] == behind_of(new, during)
    assert [is_signed(secret, behind.headers, behind.body) for secret in (new, old)] == [True, False]


def behind_of(secret: str, sent: HttpRequest) -> str:
    from mainstay.model.signature_schemes import key_of, standard_signature

    headers = sent.headers
    return standard_signature(key_of(secret), headers["webhook-id"], headers["webhook-timestamp"], sent.body)


async def test_secrets_are_not_heaped_up(client: Client) -> None:
    one, _ = await registered(client, ANN)
    path = f"/webhooks/endpoints/{one}/secret/rotate"
    answers = [await client.post(path, who=ANN, json={}) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 409]
    assert answers[-1].code == "too_many_secrets"
    client.clock.advance(86_401)
    assert (await client.post(path, who=ANN, json={})).status == 200


async def test_there_are_so_many_endpoints_and_no_more() -> None:
    async with Client(shop(endpoints=2)) as client:
        for _ in range(2):
            await registered(client, ANN)
        assert (await client.post("/webhooks/endpoints", who=BOB, json={"url": HOOK})).code == "too_many_endpoints"
        await registered(client, EVE)


async def test_an_endpoint_is_changed_and_deleted_with_all_that_is_its(client: Client, http: Receivers) -> None:
    one, _ = await registered(client, ANN)
    changed = {"url": "https://two.example/hook", "description": "two", "events": ["orders.OrderPlaced"]}
    answer = await client.patch(f"/webhooks/endpoints/{one}", who=ANN, json=changed)
    assert {name: answer.json[name] for name in changed} == changed
    await place(client, ANN)
    assert http.requests[-1].target.host == "two.example"
    assert (await client.delete(f"/webhooks/endpoints/{one}", who=ANN)).status == 204
    for entity in (WebhookEndpoint, WebhookSecret, WebhookDelivery):
        assert await client.stored(entity) == []
    await place(client, ANN)
    assert len(http.requests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audience", "tenant:evil"),
        ("owner_id", str(EVE.id)),
        ("tenant", "evil"),
        ("disabled_at", None),
        ("disabled_reason", "owner"),
        ("failing_since", None),
        ("failing_status", 500),
        ("id", "0199c0de-0000-7000-8000-000000000001"),
        ("version", 7),
    ],
)
async def test_what_the_service_sets_comes_from_no_body(client: Client, name: str, value: Any) -> None:
    one, _ = await registered(client, ANN)
    changed = await client.patch(f"/webhooks/endpoints/{one}", who=ANN, json={name: value})
    made = await client.post("/webhooks/endpoints", who=ANN, json={"url": HOOK, name: value})
    assert (changed.status, made.status) == (422, 422)
    assert [row.audience for row in await client.stored(WebhookEndpoint)] == ["tenant:acme"]


async def test_deliveries_and_attempts_are_on_record(client: Client) -> None:
    one, _ = await registered(client, ANN, "https://one.example/503")
    await place(client, ANN)
    listed = await client.get("/webhooks/deliveries", who=ANN, query={"endpoint_id": one, "state": "pending"})
    (delivery,) = listed.json["items"]
    shown = await client.get(f"/webhooks/deliveries/{delivery['id']}", who=ANN)
    told = {name: shown.json[name] for name in ("event", "attempts", "last_status", "last_cause", "state")}
    assert told == {
        "event": "orders.OrderPlaced",
        "attempts": 1,
        "last_status": 503,
        "last_cause": "refused",
        "state": "pending",
    }
    assert msgspec.json.decode(shown.json["payload"])["type"] == "orders.OrderPlaced"
    attempts = await client.get(f"/webhooks/deliveries/{delivery['id']}/attempts", who=ANN)
    assert [(a["status"], a["cause"]) for a in attempts.json["items"]] == [(503, "refused")]
    assert (await client.get("/webhooks/deliveries", who=ANN, query={"state": "failed"})).json["items"] == []


async def test_a_test_message_is_sent_at_once(client: Client, http: Receivers) -> None:
    one, secret = await registered(client, ANN)
    asked = await client.post(f"/webhooks/endpoints/{one}/test", who=ANN)
    assert asked.status == 202
    await client.deliver()
    (sent,) = http.requests
    assert (said(sent.body)["type"], said(sent.body)["data"]) == ("webhooks.test", {})
    assert is_signed(secret, sent.headers, sent.body)
    delivered = await client.get(f"/webhooks/deliveries/{asked.json['id']}", who=ANN)
    assert delivered.json["state"] == "delivered"


async def test_production_sends_over_tls_only() -> None:
    rules = Webhooks(events=[OrderPlaced]).rules(production=True)
    from mainstay.webhooks.endpoints import faults_of

    assert faults_of(rules, "http://one.example/", None)[0].pointer == "/url"
    assert not faults_of(rules, "https://one.example/", None)
    plain = Webhooks(events=[OrderPlaced], plain_http=True).rules(production=True)
    assert not faults_of(plain, "http://one.example/", None)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"events": [OrderPlaced, "orders.OrderPlaced"]}, "named twice"),
        ({"events": ["orders.Nothing"]}, 'no event is named "orders.Nothing"'),
        ({"to": "total"}, 'to="total": orders.OrderPaid has no such field'),
    ],
)
async def test_a_declaration_that_cannot_be_meant_is_a_fault_of_its_line(declared: Any, told: str) -> None:
    with pytest.raises(StartupFailed) as failed:
        Client(shop(**declared))
    found = [fault for fault in failed.value.faults if told in fault.message]
    assert found
    assert found[0].source.file.endswith("webhook_shop.py")
