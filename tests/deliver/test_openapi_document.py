"""The contract of the shop: valid by two validators, complete, stable, the same bytes on every run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from contracts import contract_bytes, faults, operations, resolve
from jsonschema import Draft202012Validator
from openapi_pydantic.v3.v3_1 import OpenAPI
from openapi_spec_validator import OpenAPIV31SpecValidator
from shop_served import SHOP, settings_for, shop_service

JSON = ("application/json", "application/merge-patch+json")
DUMP = """
import sys
sys.path[:0] = sys.argv[1:]
from contracts import contract_bytes
from shop.service import shop
sys.stdout.buffer.write(contract_bytes(shop))
"""


@pytest.fixture(scope="module")
def text() -> bytes:
    return contract_bytes(shop_service(settings_for("memory:")))


@pytest.fixture(scope="module")
def document(text: bytes) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text)
    return made


def test_two_validators_accept_it(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert OpenAPI.model_validate(document).openapi == "3.1.0"


def test_validators_would_refuse_a_broken_one(document: dict[str, Any]) -> None:
    broken = {**document, "paths": {"/x": {"get": {"responses": {"200": {}}}}}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_schema_is_one_of_json_schema_2020_12(document: dict[str, Any]) -> None:
    assert document["jsonSchemaDialect"] == "https://json-schema.org/draft/2020-12/schema"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert {"Product", "ProductPart", "ProductCreate", "ProductPatch", "ProductPartPage", "Problem"} <= set(schemas)
    for made in operations(document).values():
        for parameter in made.get("parameters", []):
            Draft202012Validator.check_schema(parameter["schema"])


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_it_is_the_same_bytes_in_every_process(text: bytes, seed: str) -> None:
    folders = [str(SHOP), os.path.join(os.path.dirname(__file__), "..", "plugins")]
    environ = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", DUMP, *folders], env=environ, capture_output=True, check=True)
    assert done.stdout == text


def test_operation_ids_are_the_names_of_the_operations(document: dict[str, Any]) -> None:
    assert sorted(operations(document)) == [
        "cancel_order",
        "create_category",
        "create_customer",
        "create_product",
        "delete_category",
        "delete_product",
        "get_category",
        "get_customer",
        "get_order",
        "get_product",
        "list_categories",
        "list_customers",
        "list_letters",
        "list_orders",
        "list_products",
        "place_order",
        "sales_report",
        "shortages",
        "update_category",
        "update_customer",
        "update_product",
    ]


def test_every_operation_says_what_may_go_wrong(document: dict[str, Any]) -> None:
    for name, made in operations(document).items():
        refusals = {status: answer for status, answer in made["responses"].items() if status >= "4"}
        assert {"400", "401", "406", "414", "429", "431", "500", "503", "504"} <= set(refusals), name
        assert ("408" in refusals) == ("requestBody" in made), name
        for status, answer in refusals.items():
            assert list(answer["content"]) == ["application/problem+json"], (name, status)
            content = answer["content"]["application/problem+json"]
            base, known = content["schema"]["allOf"]
            codes = known["properties"]["code"]["enum"]
            assert base == {"$ref": "#/components/schemas/Problem"}
            assert codes == sorted(set(codes)) != []
            for code, example in content["examples"].items():
                assert code in codes
                assert faults(document, content["schema"], example["value"]) == []


def codes_of(made: dict[str, Any], status: int) -> list[str]:
    codes: list[str] = made["responses"][str(status)]["content"]["application/problem+json"]["schema"]["allOf"][1][
        "properties"
    ]["code"]["enum"]
    return codes


def test_the_problems_are_those_of_the_operation(document: dict[str, Any]) -> None:
    known = operations(document)
    place, cancel = known["place_order"], known["cancel_order"]
    assert {"out_of_stock", "idempotency_in_flight", "more_than_one"} <= set(codes_of(place, 409))
    assert "already_cancelled" in codes_of(cancel, 409)
    assert "out_of_stock" not in codes_of(cancel, 409)
    assert codes_of(place, 404) == ["not_found"]
    assert {"token_expired", "token_wrong_audience", "credentials_missing"} <= set(codes_of(place, 401))
    assert "cursor_invalid" in codes_of(known["list_orders"], 400)
    assert "409" not in known["list_orders"]["responses"]
    assert "403" not in known["get_order"]["responses"]
    assert codes_of(known["sales_report"], 403) == ["forbidden"]
    assert "412" in known["update_product"]["responses"]
    assert "304" in known["get_product"]["responses"]


def test_limits_and_security_stand_with_each_operation(document: dict[str, Any]) -> None:
    known = operations(document)
    service = {"name": "address-6000-60", "quota": 6000, "window": 60, "by": "address"}
    own = {"name": "principal-60-60", "quota": 60, "window": 60, "by": "principal"}
    assert known["place_order"]["x-mainstay-limits"] == [service, own]
    assert all(made["x-mainstay-limits"][0] == service for made in known.values())
    assert "RateLimit" in known["list_products"]["responses"]["200"]["headers"]
    assert known["list_products"]["security"] == [{}, {"bearer": []}]
    assert all(m["security"] == [{"bearer": []}] for name, m in known.items() if name.endswith(("order", "orders")))
    assert list(document["components"]["securitySchemes"]) == ["bearer"]
    assert "role('manager')" in known["create_product"]["description"]


def test_every_body_and_answer_has_an_example_that_is_right(document: dict[str, Any]) -> None:
    seen = 0
    for name, made in operations(document).items():
        contents = [made["requestBody"]] if "requestBody" in made else []
        contents += [answer for status, answer in made["responses"].items() if status < "3"]
        for content in (c for one in contents for t, c in one.get("content", {}).items() if t in JSON):
            assert faults(document, content["schema"], content["example"]) == [], name
            seen += 1
    assert seen > 25


def test_every_parameter_is_described_and_every_path_parameter_declared(document: dict[str, Any]) -> None:
    for name, made in operations(document).items():
        given = made.get("parameters", [])
        pairs = [(one["in"], one["name"]) for one in given]
        assert len(pairs) == len(set(pairs)), name
        in_path = sorted(one["name"] for one in given if one["in"] == "path")
        assert in_path == sorted(re.findall(r"{(\w+)}", made["path"]))
        for one in given:
            for example in one["schema"].get("examples", []):
                assert faults(document, one["schema"], example) == []


def test_masked_fields_are_promised_to_nobody(document: dict[str, Any]) -> None:
    product = document["components"]["schemas"]["Product"]
    assert "purchase_price" in product["properties"]
    assert "purchase_price" not in product["required"]
    assert "role('manager')" in product["properties"]["purchase_price"]["description"]
    named = json.dumps(operations(document)["list_products"]["parameters"])
    assert "purchase_price" not in named


def test_what_the_service_sets_is_in_no_body(document: dict[str, Any]) -> None:
    for name, made in operations(document).items():
        for content in made.get("requestBody", {"content": {}})["content"].values():
            schema = resolve(document, content["schema"])
            taken = set(schema["properties"])
            assert schema["additionalProperties"] is False, name
            assert not taken & {"id", "version", "created_at", "updated_at", "user_id", "customer_id", "lines"} - (
                {"lines"} if name == "place_order" else set()
            )
