"""The schema of each kind of field, in each of its places: in a body, in an answer, as a filter."""

from __future__ import annotations

from typing import Any

import pytest
from contracts import contract, faults, operations, resolve
from kinds_sample import BAD, GOOD, module

from mainstay import Dto, Module, RawBody, Secret, anyone, signed


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return contract(module)


def body_of(document: dict[str, Any], name: str, media: str = "application/json") -> dict[str, Any]:
    schema: dict[str, Any] = operations(document)[name]["requestBody"]["content"][media]["schema"]
    return schema


def answer_of(document: dict[str, Any], name: str, status: str = "200") -> dict[str, Any]:
    content = operations(document)[name]["responses"][status]["content"]
    schema: dict[str, Any] = resolve(document, content["application/json"]["schema"])
    return schema


def test_a_good_body_fits(document: dict[str, Any]) -> None:
    schema = body_of(document, "keep")
    assert faults(document, schema, GOOD) == []
    for name in resolve(document, schema)["required"]:
        assert faults(document, schema, {n: v for n, v in GOOD.items() if n != name}), name


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}={str(value)[:20]}" for name, value in BAD])
def test_a_bad_value_does_not_fit(document: dict[str, Any], name: str, value: Any) -> None:
    assert faults(document, body_of(document, "keep"), {**GOOD, name: value})


def test_what_is_hidden_is_taken_and_not_given(document: dict[str, Any]) -> None:
    taken = resolve(document, body_of(document, "keep"))["properties"]
    given = answer_of(document, "keep")["properties"]
    assert taken["password"]["writeOnly"] is True
    assert {"password", "pin"} <= set(taken)
    assert not {"password", "pin"} & set(given)
    assert taken["note"]["description"] == "For people."


def test_members_of_a_body_are_an_object(document: dict[str, Any]) -> None:
    schema = body_of(document, "members")
    assert (schema["required"], sorted(schema["properties"])) == (["whole"], ["tags", "text", "whole"])
    assert faults(document, schema, {"whole": 1, "tags": ["a"]}) == []
    assert faults(document, schema, {"whole": 1, "zz": 1})


def test_a_dto_that_ignores_what_it_does_not_know_says_so(document: dict[str, Any]) -> None:
    assert faults(document, body_of(document, "loosen"), {"zz": 1}) == []
    assert operations(document)["loosen"]["responses"]["204"] == {
        "description": "Done.",
        "headers": {"Idempotency-Replayed": {"$ref": "#/components/headers/Idempotency-Replayed"}},
    }


def test_a_new_row_is_made_of_what_a_caller_may_set(document: dict[str, Any]) -> None:
    schema = resolve(document, body_of(document, "create_shelf"))
    assert sorted(schema["properties"]) == ["code", "cost", "labels", "price", "spot"]
    assert schema["required"] == ["code", "spot"]


def test_a_merge_patch_requires_nothing_at_any_depth(document: dict[str, Any]) -> None:
    for name in ("update_shelf", "part"):
        schema = body_of(document, name, "application/merge-patch+json")
        assert sorted(resolve(document, schema)["properties"]) == ["cost", "labels", "price", "spot"]
        fine = {"spot": {"number": 1}, "labels": {"a": None, "b": {"street": "x"}}, "price": None}
        assert faults(document, schema, fine) == []
        for wrong in ({"code": "x"}, {"spot": None}, {"spot": {"zz": 1}}, {"id": "x"}, {"price": "0"} and {"price": 1}):
            assert faults(document, schema, wrong), wrong


def test_an_answer_promises_what_everybody_sees(document: dict[str, Any]) -> None:
    shelf = document["components"]["schemas"]["Shelf"]
    standard = ["id", "version", "created_at", "updated_at"]
    assert shelf["required"] == [*standard, "keeper_id", "code", "spot", "labels", "price", "checked"]
    assert shelf["properties"]["books"]["items"] == {"$ref": "#/components/schemas/Book"}
    assert shelf["properties"]["price"]["type"] == ["string", "null"]
    assert [n for n, s in shelf["properties"].items() if s.get("readOnly")] == [*standard, "checked"]
    assert "required" not in document["components"]["schemas"]["ShelfPart"]


def test_forms_of_answers(document: dict[str, Any]) -> None:
    known = operations(document)
    assert answer_of(document, "texts") == {"type": "array", "items": {"type": "string"}}
    assert answer_of(document, "members")["items"] == {"$ref": "#/components/schemas/Loose"}
    assert list(known["put_file"]["responses"]["200"]["content"]) == ["application/octet-stream"]
    assert set(known["put_file"]["requestBody"]["content"]) == {"application/octet-stream", "multipart/form-data"}
    assert known["lines"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"] == {
        "$ref": "#/components/schemas/Book"
    }
    page = answer_of(document, "books")
    assert page["required"] == ["items"]
    assert page["properties"]["items"]["items"] == {"$ref": "#/components/schemas/BookPart"}


def test_parameters_have_their_place_and_form(document: dict[str, Any]) -> None:
    known = operations(document)
    given = {one["name"]: one for one in known["texts"]["parameters"]}
    assert given["after"] == {
        "name": "after",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "format": "date-time"},
    }
    assert (given["sizes"]["explode"], given["sizes"]["schema"]["items"]["enum"]) == (True, ["s", "l"])
    assert (given["X-Shop"]["in"], given["X-Shop"]["schema"]["default"]) == ("header", "")
    update = {one["name"]: one for one in known["update_shelf"]["parameters"]}
    assert update["If-Match"]["required"] is True
    assert "readOnly" not in update["id"]["schema"]
    keys = {one["name"]: one["required"] for one in known["keep"]["parameters"]}
    assert keys == {"Idempotency-Key": True}


def test_a_search_has_every_operator_that_the_door_takes(document: dict[str, Any]) -> None:
    given = {one["name"]: one for one in operations(document)["list_shelves"]["parameters"]}
    assert {"code", "code[ne]", "code[in]", "code[gte]", "code[contains]", "code[starts]"} <= set(given)
    assert {"price[null]", "checked[ne]", "fields", "include", "sort", "limit", "cursor", "count"} <= set(given)
    assert not {"checked[gt]", "code[null]", "spot", "labels", "cost"} & set(given)
    price = given["price[lt]"]["schema"]
    assert faults(document, price, "-3.50") == []
    assert faults(document, price, "3.505")
    assert faults(document, given["sort"]["schema"], ["-code", "price"]) == []
    for wrong in (["cost"], ["spot"], [], ["code", "code"], ["zz"]):
        assert faults(document, given["sort"]["schema"], wrong), wrong


HEADERS = [
    ("If-Match", ["*", '"3-1f2e3d4c"', 'W/"a", "b"', '""'], ["", "a", '"a', "*, *"]),
    ("Idempotency-Key", ['"a b"', "abc", r'"a\"b"', "'", "x" * 255], ["", '""', "a b", "a,b", "é", "x" * 256, '"a']),
]


@pytest.mark.parametrize(("name", "good", "bad"), HEADERS, ids=[one[0] for one in HEADERS])
def test_the_grammar_of_header_fields(document: dict[str, Any], name: str, good: list[str], bad: list[str]) -> None:
    given = {one["name"]: one for one in operations(document)["update_shelf"]["parameters"]}
    schema = given[name]["schema"]
    assert [text for text in good if faults(document, schema, text)] == []
    assert [text for text in bad if not faults(document, schema, text)] == []


def test_two_classes_of_one_name_are_two_schemas() -> None:
    def dto(kind: type) -> type:
        return type("Same", (Dto,), {"__annotations__": {"a": kind}, "__module__": __name__})

    here = Module("twins")
    for number, kind in enumerate((int, str)):

        async def take(body: Any) -> None:
            """Take one."""

        take.__name__ = f"take_{number}"
        take.__annotations__["body"] = dto(kind)
        here.command(f"POST /twins/{number}", allow=anyone)(take)
    schemas = contract(here)["components"]["schemas"]
    assert schemas["Same"]["properties"]["a"]["type"] == "integer"
    assert schemas["Same2"]["properties"]["a"]["type"] == "string"


def test_a_signed_body_has_a_scheme_of_its_own() -> None:
    here = Module("hooks")

    @here.command("POST /hooks", allow=signed("standard-webhooks", secret="hook"), idempotency="none")
    async def hook(body: RawBody) -> None:
        """Take a call."""

    document = contract(here, secrets={"hook": Secret("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")})
    assert operations(document)["hook"]["security"] == [{"signature": []}]
    assert list(document["components"]["securitySchemes"]) == ["signature"]
