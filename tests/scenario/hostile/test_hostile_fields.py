"""Every body of the shop with what does not belong in it: fields that the service sets, unknown ones, wrong types.

The operations and fields are those of the contract, so that a new one is tried too.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from contracts import operations, resolve
from hostile_service import refused
from shop_served import Client, Person

BOSS = Person(1, "manager", "support")
OTHER = str(uuid4())
WRONG: dict[str, list[Any]] = {
    "string": [1, 1.5, True, [], {}, ["a"]],
    "decimal": [True, [], {}, "", "abc", "NaN", "Infinity", "-Infinity", "1e400", "0x10", "9" * 50, 1e300],
    "integer": ["1", 1.5, True, [], {}, 2**63, -(2**63) - 1, 10**30],
    "array": ["a", 1, {}, True, None],
    "uuid": ["x", 1, True, [], {}, "00000000-0000-0000-0000-00000000000g"],
}
FOREIGN = [
    "id",
    "version",
    "created_at",
    "updated_at",
    "zz",
    "__class__",
    "__dict__",
    "constructor",
    "customer_id",
    "user_id",
]
VALUES: dict[str, Any] = {"version": 9, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def document(buyer: Client) -> dict[str, Any]:
    made: dict[str, Any] = buyer.get("/openapi.json").json
    return made


@pytest.fixture(scope="module")
def rows(buyer: Client) -> dict[str, str]:
    """Return a row's place for each operation that changes one, and good bodies by the name of the operation."""
    tea = buyer.get("/products?sku=TEA-GREEN").json["items"][0]
    found = buyer.get("/customers", BOSS).json["items"]
    own = found[0] if found else buyer.ask("POST", "/customers", BOSS, {"name": "Max", "email": "max@example.com"}).json
    return {
        "/products/{id}": f"/products/{tea['id']}",
        "/categories/{id}": f"/categories/{tea['category_id']}",
        "/customers/{id}": f"/customers/{own['id']}",
    }


def bodies(document: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Return name, operation, schema and example of every body."""
    return [
        (name, made, resolve(document, content["schema"]), content["example"])
        for name, made in operations(document).items()
        for content in made.get("requestBody", {"content": {}})["content"].values()
    ]


def place(made: dict[str, Any], rows: dict[str, str]) -> str:
    return rows.get(made["path"], made["path"])


def kind(schema: dict[str, Any]) -> str:
    if schema.get("format") in WRONG:
        return str(schema["format"])
    type_ = schema.get("type", "")
    return type_[0] if isinstance(type_, list) else str(type_)


def state(buyer: Client) -> list[bytes]:
    """Return all that there is to change."""
    paths = ("/products?limit=200", "/categories?limit=200", "/customers?limit=200", "/orders?limit=200")
    return [buyer.get(path, BOSS).body for path in paths]


def test_every_field_of_every_body_refuses_other_types(
    buyer: Client, document: dict[str, Any], rows: dict[str, str]
) -> None:
    before = state(buyer)
    tried = 0
    for name, made, schema, example in bodies(document):
        for field, inner in schema["properties"].items():
            for wrong in WRONG[kind(inner)]:
                answer = buyer.ask(made["method"], place(made, rows), BOSS, {**example, field: wrong})
                refused(answer, 422)
                assert [f["pointer"] for f in answer.json["faults"]] == [f"/{field}"], (name, field, wrong)
                assert repr(wrong) not in answer.json["faults"][0]["detail"] or wrong in ("", 1, "1", 1.5)
                tried += 1
    assert tried > 100
    assert state(buyer) == before


def test_no_body_sets_what_the_service_sets(buyer: Client, document: dict[str, Any], rows: dict[str, str]) -> None:
    before = state(buyer)
    for name, made, schema, example in bodies(document):
        foreign = [field for field in FOREIGN if field not in schema["properties"]]
        assert set(FOREIGN[:8]) <= set(foreign)
        for field in foreign:
            body = {**example, field: VALUES.get(field, OTHER)}
            answer = buyer.ask(made["method"], place(made, rows), BOSS, body)
            refused(answer, 422)
            (fault,) = answer.json["faults"]
            assert fault["pointer"] == f"/{field}", name
            assert fault["code"] in {"read_only", "immutable", "unknown_field"}
    assert state(buyer) == before


def test_no_line_of_an_order_names_its_price(buyer: Client) -> None:
    before = state(buyer)
    for field in ("price", "order_id", "customer_id", "product_id", "id", "total"):
        line = {"sku": "TEA-GREEN", "quantity": 1, field: "0.01"}
        answer = buyer.ask("POST", "/orders", BOSS, {"lines": [line]})
        refused(answer, 422)
        assert answer.json["faults"][0]["pointer"] == f"/lines/0/{field}"
    for field in ("status", "total", "customer_id"):
        refused(buyer.ask("POST", "/orders", BOSS, {"lines": [{"sku": "TEA-GREEN"}], field: "cancelled"}), 422)
    assert state(buyer) == before


@pytest.mark.parametrize("quantity", [0, -1, 101, 2**31, 2**63 - 1, 1.0, "1", None])
def test_no_order_of_a_strange_quantity(buyer: Client, quantity: Any) -> None:
    before = state(buyer)
    refused(buyer.ask("POST", "/orders", BOSS, {"lines": [{"sku": "TEA-GREEN", "quantity": quantity}]}), 422)
    refused(buyer.ask("POST", "/orders", BOSS, {"lines": [{"sku": "TEA-GREEN"}] * 51}), 422)
    assert state(buyer) == before


def test_all_faults_are_told_at_once_and_none_repeats_a_value(buyer: Client) -> None:
    body = {"sku": "a secret sku", "name": "", "price": "-1", "stock": -1, "purchase_price": "x", "zz": "a secret"}
    answer = buyer.ask("POST", "/products", BOSS, body)
    refused(answer, 422)
    pointers = {fault["pointer"] for fault in answer.json["faults"]}
    assert pointers == {"/sku", "/name", "/price", "/stock", "/purchase_price", "/zz", "/category_id"}
    assert b"secret" not in answer.body


def test_a_body_of_ten_thousand_faults_has_a_bounded_answer(buyer: Client) -> None:
    answer = buyer.ask("POST", "/orders", BOSS, {"lines": [{"sku": 1, "zz": 2}] * 5000})
    refused(answer, 422)
    assert len(answer.json["faults"]) <= 100
