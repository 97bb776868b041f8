"""The contract and the door agree: what one says fits, the other takes; what is answered is what was promised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts import faults, operations, resolve
from http_clients import Answered
from kinds_sample import BAD, GOOD, module
from shop_served import Client, Person, Running, run_shop, settings_for

from mainstay import Service

KEY = {"Idempotency-Key": '"k"'}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(name): camelled(held) for name, held in value.items()}
    return [camelled(held) for held in value] if isinstance(value, list) else value


@pytest.fixture(scope="module", params=["snake", "camel"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("kinds")
    settings = settings_for("memory:", root, **{"auth.issuer": "kinds", "auth.audience": ["kinds"]})
    running = Running(settings, Service("kinds", modules=[module], case=request.param))
    yield running
    running.stop()
    assert not running.troubles.seen


@pytest.fixture(scope="module")
def client(served: Running) -> Client:
    return served.socket_client()


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    made: dict[str, Any] = client.get("/openapi.json").json
    return made


def said(client: Client, body: dict[str, Any], key: int) -> Answered:
    cased = camelled(body) if client.running.service.case == "camel" else body
    return client.ask("POST", "/everything", body=cased, headers={"Idempotency-Key": str(key)})


def said_as_text(client: Client, text: str) -> Answered:
    return client.ask("POST", "/everything", body=text.encode(), headers={"Idempotency-Key": str(hash(text))})


def promised(document: dict[str, Any], name: str, answer: Answered) -> list[str]:
    """Return what an answer breaks of what its operation promises."""
    made = operations(document)[name]["responses"]
    assert str(answer.status) in made, f"{name}: {answer.status} is not documented: {answer.body!r}"
    promise = made[str(answer.status)]
    missing = [h for h in promise.get("headers", {}) if resolve(document, promise["headers"][h]).get("required")]
    found = [f"header {header}" for header in missing if header not in answer]
    if "content" not in promise:
        return found + (["a body"] if answer.body else [])
    media = answer["content-type"].partition(";")[0]
    assert media in promise["content"], f"{name}: {media} is not documented"
    return found + faults(document, promise["content"][media]["schema"], json.loads(answer.body))


def test_what_fits_is_taken_and_answered_as_promised(client: Client, document: dict[str, Any]) -> None:
    answer = said(client, GOOD, 0)
    assert answer.status == 200, answer.body
    assert promised(document, "keep", answer) == []


@pytest.mark.parametrize("number", range(len(BAD)), ids=[f"{name}={str(value)[:20]}" for name, value in BAD])
def test_what_does_not_fit_is_refused_at_its_place(client: Client, document: dict[str, Any], number: int) -> None:
    name, value = BAD[number]
    answer = said(client, {**GOOD, name: value}, 1000 + number)
    assert answer.status == 422
    assert promised(document, "keep", answer) == []
    place = camel(name) if client.running.service.case == "camel" else name
    assert {fault["pointer"].split("/")[1] for fault in answer.json["faults"]} == {place}


@pytest.mark.parametrize(("written", "read"), [("12.10", "12.10"), ("1.21e1", "12.1"), ('"0012.1"', "12.1")])
def test_a_decimal_is_read_exactly_from_a_number_too(client: Client, written: str, read: str) -> None:
    body = json.dumps(camelled(GOOD) if client.running.service.case == "camel" else GOOD)
    answer = said_as_text(client, body.replace('"12.50"', written))
    assert (answer.status, answer.json.get("money")) == (200, read)


def test_the_names_of_the_contract_are_those_of_the_door(client: Client, document: dict[str, Any]) -> None:
    cased = camel if client.running.service.case == "camel" else str
    known = operations(document)
    made = known[cased("create_shelf")]
    assert made["path"] == "/shelves"
    assert known[cased("update_shelf")]["path"] == "/shelves/{id}"
    assert known["part"]["path"] == f"/shelves/{{{cased('shelf_id')}}}/part"
    assert [p["name"] for p in known["part"]["parameters"] if p["in"] == "path"] == [cased("shelf_id")]
    names = {p["name"] for p in known[cased("list_shelves")]["parameters"]}
    assert {cased("keeper_id"), f"{cased('created_at')}[gte]"} <= names
    taken = resolve(document, made["requestBody"]["content"]["application/json"]["schema"])["properties"]
    assert set(taken) == {"code", "spot", "labels", "price", "cost"}


def test_every_filter_and_order_of_the_contract_is_known_to_the_door(client: Client, document: dict[str, Any]) -> None:
    made = operations(document)[camel("list_shelves") if client.running.service.case == "camel" else "list_shelves"]
    values = {"string": "a", "integer": "1", "boolean": "true", "date-time": "2026-01-31T09:30:00Z", "decimal": "1.00"}
    values["uuid"] = "0199c0de-0000-7000-8000-000000000001"
    tried = 0
    for one in (p for p in made["parameters"] if p["in"] == "query" and p["name"] != "cursor"):
        schema = one["schema"]
        schema = schema.get("items", schema)
        value = (
            schema["enum"][0]
            if "enum" in schema
            else values[schema.get("format", schema["type"])]
            if (schema.get("format") in values)
            else values[schema["type"]]
        )
        answer = client.get(f"/shelves?{one['name']}={value}")
        assert answer.status == 200, (one["name"], answer.body)
        tried += 1
    assert tried > 40


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = run_shop(Path(tmp_path_factory.mktemp("shop")))
    yield running
    running.stop()
    assert not running.troubles.seen


BOSS, ANN = Person(1, "manager", "support"), Person(2, "customer")
TEA = {"lines": [{"sku": "TEA-GREEN", "quantity": 2}]}
ONE, SHELF, ORDER = "/products/{product}", "/categories/{shelf}", "/orders/{order}"
STALE, OTHER = {"If-Match": '"1-00000000"'}, {"If-Match": '"99-00000000"'}
ANNABEL = {"name": "Ann", "email": "ann@example.com"}
Step = tuple[str, str, str, Person | None, Any, dict[str, str] | None, int]
STEPS: list[Step] = [
    ("list_products", "GET", "/products?limit=2&fields=sku&count=exact&sort=-price", BOSS, None, None, 200),
    ("list_products", "GET", "/products?purchase_price=1", ANN, None, None, 400),
    ("get_product", "GET", ONE, BOSS, None, None, 200),
    ("get_product", "GET", f"{ONE}?fields=name", None, None, None, 200),
    ("get_product", "GET", ONE, None, None, {"If-None-Match": "*"}, 304),
    ("get_product", "GET", ONE, None, None, OTHER, 412),
    ("get_product", "GET", "/products/x", None, None, None, 404),
    ("update_product", "PATCH", ONE, BOSS, {"stock": 50, "purchase_price": "3.00"}, None, 200),
    ("update_product", "PATCH", ONE, BOSS, {"stock": -1}, None, 422),
    ("update_product", "PATCH", ONE, BOSS, {"stock": 1}, STALE, 412),
    ("update_product", "PATCH", ONE, ANN, {"stock": 1}, None, 403),
    ("update_product", "PATCH", ONE, None, {"stock": 1}, None, 401),
    ("create_category", "POST", "/categories", BOSS, {"slug": "new", "title": "New"}, None, 201),
    ("create_category", "POST", "/categories", BOSS, {"slug": "new", "title": "New"}, None, 409),
    ("create_category", "POST", "/categories", BOSS, b"{", None, 400),
    ("create_category", "POST", "/categories", BOSS, b"{}", {"Content-Type": "text/plain"}, 415),
    ("create_category", "POST", "/categories", BOSS, b" " * 2_000_000, None, 413),
    ("delete_category", "DELETE", SHELF, BOSS, None, None, 409),
    ("create_customer", "POST", "/customers", ANN, ANNABEL, None, 201),
    ("create_customer", "POST", "/customers", ANN, {**ANNABEL, "note": "x"}, None, 422),
    ("place_order", "POST", "/orders", ANN, TEA, None, 201),
    ("place_order", "POST", "/orders", ANN, {"lines": [{"sku": "POT-LARGE"}]}, None, 409),
    ("place_order", "POST", "/orders", ANN, {"lines": [{"sku": "NONE"}]}, None, 404),
    ("get_order", "GET", ORDER, ANN, None, None, 200),
    ("get_order", "GET", ORDER, ANN, None, {"Accept": "text/csv"}, 406),
    ("list_orders", "GET", "/orders?include=lines", ANN, None, None, 200),
    ("list_orders", "GET", "/orders?cursor=x", ANN, None, None, 400),
    ("cancel_order", "POST", f"{ORDER}/cancel", ANN, None, None, 200),
    ("cancel_order", "POST", f"{ORDER}/cancel", ANN, None, None, 409),
    ("sales_report", "GET", "/reports/sales", BOSS, None, None, 200),
    ("sales_report", "GET", "/reports/sales", ANN, None, None, 403),
    ("shortages", "GET", "/reports/shortages", BOSS, None, None, 200),
    ("shortages", "GET", "/reports/shortages?below=x", BOSS, None, None, 400),
    ("list_letters", "GET", "/letters", ANN, None, None, 200),
]


def test_answers_of_the_shop_are_as_promised(shop: Running) -> None:
    client = shop.socket_client()
    document = client.get("/openapi.json").json
    tea = client.get("/products?sku=TEA-GREEN").json["items"][0]
    known = {"product": tea["id"], "shelf": tea["category_id"]}
    for name, method, target, who, body, headers, status in STEPS:
        answer = client.ask(method, target.format_map(known), who, body, headers)
        assert (answer.status, promised(document, name, answer)) == (status, []), (name, target, answer.body)
        if (name, status) == ("place_order", 201):
            known["order"] = answer.json["id"]
