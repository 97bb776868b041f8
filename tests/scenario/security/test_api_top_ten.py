"""OWASP API Security Top 10 (2023): attacks of each kind on the served shop. What goes deeper is named beside."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from shop_served import Client, Person, Running, run_shop
from two_people import ANN, BOB, BOSS, TwoPeople, absent, facts

from mainstay.app.credentials import development_token

MARKS = ("Traceback", 'File "', "site-packages", "sqlite", "asyncpg", "SELECT ")


def test_api1_an_object_of_another_is_not_there(world: TwoPeople) -> None:
    """Broken object level authorization; each operation and each form of it: test_two_people.py."""
    mine, none = world.orders[ANN][0]["id"], absent()
    for method, path, body in (
        ("GET", "/orders/{}", None),
        ("POST", "/orders/{}/cancel", {}),
        ("GET", "/customers/{}", None),
        ("PATCH", "/customers/{}", {"name": "Mallory"}),
    ):
        id_ = world.customers[ANN]["id"] if "customers" in path else mine
        of_ann = world.client.ask(method, path.format(id_), BOB, body)
        of_nobody = world.client.ask(method, path.format(none), BOB, body)
        assert of_ann.status == 404
        assert facts(of_ann, without=id_) == facts(of_nobody, without=none)


def test_api2_a_token_is_proof_or_nothing(shop: Running, client: Client) -> None:
    """Broken authentication; forged tokens at every operation: test_tokens_at_the_door.py."""
    good = shop.token(ANN)
    head, payload, signature = good.split(".")
    old = development_token(shop.settings, now=time.time() - 10**6, subject=str(ANN.id), roles=ANN.roles)
    other = "A" if signature[10] != "A" else "B"
    bent = f"{head}.{payload}.{signature[:10]}{other}{signature[11:]}"
    none = f"eyJhbGciOiJub25lIn0.{payload}."
    for token in (bent, none, old, f"{head}.{payload}", "", "null", f"{good}, {good}"):
        answer = client.get("/orders", Authorization=f"Bearer {token}")
        assert answer.status == 401, token
        assert "www-authenticate" in answer
    assert client.get("/orders", Authorization=f"Bearer {good}").status == 200
    assert client.get(f"/orders?access_token={good}").status in (400, 401)


def test_api2_who_guesses_is_slowed_down(limited: Client) -> None:
    found = [limited.get("/orders", Authorization=f"Bearer {number}").status for number in range(40)]
    assert found[:5] == [401] * 5
    assert found[-1] == 429


def test_api3_no_property_is_read_or_set_that_is_not_the_callers(world: TwoPeople) -> None:
    """Broken object property level authorization; masks: test_masks.py, bodies: test_hostile_fields.py."""
    client, product = world.client, world.products["CUP-BLUE"]
    assert "purchase_price" not in client.get(f"/products/{product['id']}", BOB).json
    assert "purchase_price" in client.get(f"/products/{product['id']}", BOSS).json
    customer = world.customers[BOB]["id"]
    for body in ({"note": "trusted"}, {"user_id": str(ANN.id)}, {"id": absent()}, {"version": 9}, {"is_admin": True}):
        answer = client.ask("PATCH", f"/customers/{customer}", BOB, body)
        assert answer.status == 422, body
    for body in ({"total": "0"}, {"customer_id": str(ANN.id)}, {"status": "cancelled"}):
        wanted: dict[str, Any] = {"lines": [{"sku": "CUP-BLUE", "quantity": 1}], **body}
        assert client.ask("POST", "/orders", BOB, wanted).status == 422, body


def test_api4_no_call_takes_more_than_its_share(client: Client) -> None:
    """Unrestricted resource consumption; bounds of the door: tests/scenario/hostile and tests/scenario/http."""
    for query in ({"limit": "100000"}, {"limit": "-1"}, {"id[in]": "," * 1000}, {"sort": "name," * 40}):
        assert client.get(f"/products?{urlencode(query)}").status == 400
    deep = b"[" * 2000 + b"]" * 2000
    wide = b'{"lines":[' + b'{"sku":"A"},' * 60 + b'{"sku":"A"}]}'
    for body, statuses in ((b"x" * 2_000_000, (413,)), (deep, (400, 422)), (wide, (422,))):
        assert client.ask("POST", "/orders", BOB, body).status in statuses
    assert client.get("/products?include=" + "lines," * 50).status == 400


def test_api4_limits_hold_for_a_caller_however_many_connections_it_has(limited_shop: Running) -> None:
    wanted = {"lines": [{"sku": "CUP-BLUE", "quantity": 1}]}
    clients = [limited_shop.socket_client() for _ in range(7)]
    found = [clients[number % 7].ask("POST", "/orders", BOB, wanted).status for number in range(70)]
    assert found.count(429) >= 5
    refused = clients[0].ask("POST", "/orders", BOB, wanted)
    assert int(refused["retry-after"]) >= 1


def test_api5_no_function_is_for_whom_it_is_not(world: TwoPeople) -> None:
    """Broken function level authorization; each operation: test_two_people.py, test_what_is_for_a_role_..."""
    product = world.products["CUP-BLUE"]["id"]
    for method, path, body in (
        ("POST", "/products", {"sku": "X"}),
        ("PATCH", f"/products/{product}", {"price": "0.01"}),
        ("DELETE", f"/products/{product}", None),
    ):
        assert world.client.ask(method, path, BOB, body).status == 403
        assert world.client.ask(method, path, None, body).status == 401
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answer = world.client.ask("GET", f"/products/{product}", BOB, headers={header: "DELETE"})
        assert (answer.status, answer.json["id"]) == (200, product)
    assert world.client.ask("GET", f"/products/{product}?_method=DELETE", BOB).status == 400
    claimed = Person(12, "customer")
    claimed.roles = ("customer",)
    assert world.client.ask("GET", "/reports/sales", claimed, headers={"X-Role": "manager"}).status in (403, 404)


def test_api6_a_flow_is_not_run_twice_or_oversold(world: TwoPeople) -> None:
    """Unrestricted access to sensitive business flows; races: scripts/drill once, scripts/drill history."""
    stock = world.client.get(f"/products/{world.products['CUP-BLUE']['id']}").json["stock"]
    key = {"Idempotency-Key": '"one-flow"'}
    body = {"lines": [{"sku": "CUP-BLUE", "quantity": 1}]}
    first = world.client.ask("POST", "/orders", BOB, body, key)
    again = world.client.ask("POST", "/orders", BOB, body, key)
    assert (first.status, again.json["id"]) == (201, first.json["id"])
    assert world.client.get(f"/products/{world.products['CUP-BLUE']['id']}").json["stock"] == stock - 1
    too_many = world.client.ask("POST", "/orders", BOB, {"lines": [{"sku": "CUP-BLUE", "quantity": 100}] * 2})
    assert too_many.status == 409
    cancelled = [world.client.ask("POST", f"/orders/{first.json['id']}/cancel", BOB, {}).status for _ in range(2)]
    assert cancelled == [200, 409]
    assert world.client.get(f"/products/{world.products['CUP-BLUE']['id']}").json["stock"] == stock


def test_api7_nothing_that_a_caller_names_is_fetched(world: TwoPeople, shop: Running) -> None:
    """Server side request forgery: the shop takes no address, and what looks like one is text."""
    url = f"{shop.url}/health"
    changed = world.client.ask("PATCH", f"/customers/{world.customers[BOB]['id']}", BOB, {"name": url})
    assert (changed.status, changed.json["name"]) == (200, url)
    for header in ("X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "Forwarded", "X-Forwarded-Server"):
        answer = world.client.ask("GET", "/products?limit=1", headers={header: "http://169.254.169.254/latest"})
        assert answer.status == 200
        assert "169.254" not in answer.body.decode() + str(answer.headers)


def test_api8_nothing_of_the_inside_is_shown(client: Client) -> None:
    """Security misconfiguration; headers: test_headers.py, TLS: test_run_scanned.py, settings: mainstay doctor."""
    for method, target in (("TRACE", "/products"), ("GET", "/%00"), ("GET", "/.git/config"), ("GET", "/.env")):
        answer = client.ask(method, target)
        assert answer.status in (400, 404, 405)
        assert not [mark for mark in MARKS if mark in answer.body.decode()]
    for path in (
        "/metrics/",
        "/admin",
        "/console",
        "/debug",
        "/actuator",
        "/swagger",
        "/phpinfo.php",
        "/server-status",
    ):
        assert client.get(path).status == 404
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = client.ask("OPTIONS", "/orders", headers=asked)
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


def test_api9_what_is_served_is_what_the_contract_lists(shop: Running, client: Client) -> None:
    """Improper inventory management: every route is in the contract, and nothing else is answered."""
    paths = client.get("/openapi.json").json["paths"]
    listed = {(method.upper(), path) for path, found in paths.items() for method in found if method != "parameters"}
    bound = shop.application.bound.operations
    served = {(one.operation.method, one.operation.path) for one in bound if one.operation.path}
    assert served == listed
    for old in ("/v1/orders", "/api/orders", "/orders.json", "/beta/orders", "/internal/orders"):
        assert client.get(old, ANN).status == 404


def test_api10_what_another_service_sends_is_checked_like_a_callers(client: Client, shop: Running) -> None:
    """Unsafe consumption of APIs: a message is validated as a body is; signed bodies: test_signed.py."""
    consumers = [one for one in shop.application.bound.operations if not one.operation.method]
    assert consumers
    for one in consumers:
        names = [getattr(stage, "__qualname__", "") for stage in one.stages]
        assert any("_stage" in name for name in names), (one.name, names)


@pytest.fixture(scope="module")
def limited_shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = run_shop(tmp_path_factory.mktemp("limited"), limited=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def limited(limited_shop: Running) -> Client:
    return limited_shop.socket_client()
