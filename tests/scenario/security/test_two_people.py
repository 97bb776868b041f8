"""Two customers and every operation of the shop: none of one's rows is read, changed, listed, counted or inferred.

The table names every operation; one that is bound and not in it fails the test, so that nobody adds an operation
without saying what another customer meets there.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from http_clients import Answered
from shop_served import Client, Person, Running
from two_people import ANN, BOB, BOSS, HELPER, TwoPeople, absent, facts

from mainstay.model.operation import OperationKind

# What of each operation belongs to somebody: "rows" are listed, "row" is named by an id, "own" makes rows of the
# caller's own, "public" has rows of nobody, "role" is not for customers.
TABLE: dict[str, str] = {
    "list_categories": "public",
    "get_category": "public",
    "create_category": "role",
    "update_category": "role",
    "delete_category": "role",
    "list_products": "public",
    "get_product": "public",
    "create_product": "role",
    "update_product": "role",
    "delete_product": "role",
    "list_customers": "rows",
    "get_customer": "row",
    "create_customer": "own",
    "update_customer": "row",
    "place_order": "own",
    "cancel_order": "row",
    "get_order": "row",
    "list_orders": "rows",
    "list_letters": "rows",
    "sales_report": "role",
    "shortages": "role",
}
NO_SHELF = "0199c0de-0000-7000-8000-000000000009"
BODIES: dict[str, Any] = {
    "create_category": {"slug": "new", "title": "New"},
    "update_category": {"title": "Changed"},
    "create_product": {
        "sku": "NEW",
        "name": "New",
        "price": "1",
        "category_id": "0199c0de-0000-7000-8000-000000000009",
    },
    "update_product": {"stock": 0},
    "update_customer": {"name": "Changed"},
    "place_order": {"lines": [{"sku": "CUP-BLUE", "quantity": 1}]},
}
OPERATORS = ("", "[eq]", "[in]", "[gte]", "[lte]", "[contains]", "[starts]")


def of(kind: str) -> list[str]:
    return [name for name, known in TABLE.items() if known == kind]


def route(shop: Running, name: str, id_: str = "") -> tuple[str, str]:
    """Return method and path of an operation, an id in the place of its braces."""
    (declared,) = [one.operation for one in shop.application.bound.operations if one.name == name]
    path = declared.path
    for part in [part for part in path.split("/") if part.startswith("{")]:
        path = path.replace(part, id_)
    return declared.method, path


def rows_of(world: TwoPeople, name: str, who: Person) -> list[Any]:
    if "customer" in name:
        return [world.customers[who]]
    return world.letters[who] if "letter" in name else world.orders[who]


def belongs_to(row: Any) -> str:
    return str(row.get("user_id") or row["customer_id"])


def test_the_table_has_every_operation(shop: Running) -> None:
    served = [one for one in shop.application.bound.operations if one.operation.kind is not OperationKind.CONSUMER]
    assert sorted(one.name for one in served) == sorted(TABLE)


def test_the_marks_would_be_seen(world: TwoPeople) -> None:
    for name in of("rows"):
        assert world.leaks(world.client.get(route_of(name), ANN))


def route_of(name: str) -> str:
    return f"/{name.removeprefix('list_')}"


@pytest.mark.parametrize("name", of("rows"))
def test_a_list_shows_and_counts_ones_own_rows_only(shop: Running, world: TwoPeople, name: str) -> None:
    _, path = route(shop, name)
    for query in (
        "",
        "?count=exact",
        "?limit=1&count=exact",
        "?limit=200",
        "?fields=id",
        "?count=exact&limit=1&sort=-id",
    ):
        answer = world.client.get(path + query, BOB)
        assert (answer.status, world.leaks(answer)) == (200, [])
        if "count" in query:
            assert answer.json["count"] == len(rows_of(world, name, BOB)) == 1
        if "fields" not in query:
            assert {belongs_to(row) for row in answer.json["items"]} == {str(BOB.id)}


@pytest.mark.parametrize("name", of("rows"))
def test_a_filter_for_anothers_value_finds_what_an_unknown_value_finds(
    shop: Running, world: TwoPeople, name: str
) -> None:
    _, path = route(shop, name)
    tried = 0
    own = [str(value) for row in rows_of(world, name, BOB) for value in row.values()]
    for row in rows_of(world, name, ANN):
        for field, value in row.items():
            if isinstance(value, list | None) or str(value) in own or field in ("version", "note", "status"):
                continue
            for operator in OPERATORS:
                target = f"{path}?{field}{operator}={quote(str(value))}&count=exact"
                answer = world.client.get(target, BOB)
                if answer.status == 400:
                    continue  # no operator of this field
                assert (answer.status, world.leaks(answer)) == (200, []), target
                assert {belongs_to(one) for one in answer.json["items"]} <= {str(BOB.id)}
                assert answer.json["count"] <= 1
                if operator in ("", "[eq]", "[in]"):
                    assert answer.json == {"items": [], "count": 0}, target
                tried += 1
    assert tried > 10


@pytest.mark.parametrize("name", of("rows"))
def test_no_order_or_page_shows_where_anothers_rows_are(shop: Running, world: TwoPeople, name: str) -> None:
    _, path = route(shop, name)
    fields = [f for f, v in rows_of(world, name, BOB)[0].items() if not isinstance(v, list | dict) and f != "note"]
    for field in fields:
        for sign in ("", "-"):
            answer = world.client.get(f"{path}?sort={sign}{field}&limit=1", BOB)
            assert (answer.status, world.leaks(answer)) == (200, []), field
            assert "next" not in answer.json  # there is one row, and nothing behind it
            assert "link" not in answer
    if name == "list_orders":
        answer = world.client.get(f"{path}?include=lines", BOB)
        assert world.leaks(answer) == []
        assert [len(order["lines"]) for order in answer.json["items"]] == [1]


CONDITIONS: list[dict[str, str]] = [{}, {"If-Match": "*"}, {"If-Match": '"1-00000000"'}, {"If-Match": '"2-00000000"'}]
CONDITIONS += [{"If-None-Match": "*"}, {"Idempotency-Key": "k"}, {"Accept": "text/csv"}]


@pytest.mark.parametrize("name", of("row"))
@pytest.mark.parametrize("headers", CONDITIONS, ids=str)
def test_anothers_row_and_no_row_are_answered_alike(
    shop: Running, world: TwoPeople, name: str, headers: dict[str, str]
) -> None:
    for row in rows_of(world, name, ANN):
        found = []
        for id_ in (row["id"], absent()):
            method, path = route(shop, name, id_)
            keyed = {**headers, "Idempotency-Key": id_} if "Idempotency-Key" in headers else headers
            for verb in (method, "HEAD") if method == "GET" else (method,):
                answer = world.client.ask(verb, path, BOB, BODIES.get(name), keyed)
                assert [mark for mark in world.leaks(answer) if mark != id_] == []
                found.append(facts(answer, without=id_))
        half = len(found) // 2
        assert found[:half] == found[half:]
        assert {status for status, _, _ in found} <= {404, 406, 400}
        if not headers:
            assert found[0][0] == 404
    untouched(world)


def untouched(world: TwoPeople) -> None:
    """Check that Ann's rows are as they were."""
    assert world.client.get("/orders?include=lines", ANN).json["items"] == world.orders[ANN]
    assert (
        world.client.get(
            "/customers",
            HELPER,
        ).json["items"][0]
        == world.customers[ANN]
    )


def test_a_bad_body_for_anothers_row_is_refused_as_for_no_row(shop: Running, world: TwoPeople) -> None:
    for body in (b"{", b"{}", {"name": ""}, {"user_id": str(BOB.id)}, {"note": "x"}, {"zz": 1}):
        found = [
            facts(world.client.ask("PATCH", f"/customers/{id_}", BOB, body), without=id_)
            for id_ in (world.customers[ANN]["id"], absent())
        ]
        assert found[0] == found[1]
    untouched(world)


def test_what_one_makes_is_ones_own_and_tells_of_nobody(world: TwoPeople) -> None:
    body = {"name": "Other", "email": world.customers[ANN]["email"]}
    third = Person(15, "customer")
    made = world.client.ask("POST", "/customers", third, body)
    assert (made.status, made.json["user_id"]) == (201, str(third.id))
    assert [mark for mark in world.leaks(made) if mark != body["email"]] == []
    for row in (*world.orders[ANN], world.customers[ANN]):
        refused = world.client.ask("POST", "/customers", Person(16), {**body, "id": row["id"]})
        assert refused.status == 422
        assert world.leaks(refused) == []
    again = world.client.ask("POST", "/customers", BOB, {"name": "Bob", "email": "other@example.com"})
    assert (again.status, again.json["code"], world.leaks(again)) == (409, "unique_conflict", [])


@pytest.mark.parametrize("name", of("role"))
def test_what_is_for_a_role_is_refused_before_it_looks(shop: Running, world: TwoPeople, name: str) -> None:
    there = world.products["TEA-GREEN"]["id"] if "product" in name else world.products["TEA-GREEN"]["category_id"]
    answers: list[Answered] = []
    for id_ in (there, absent()):
        method, path = route(shop, name, id_)
        for body in (BODIES.get(name), b"{" if name in BODIES else None):
            answers.append(world.client.ask(method, path, BOB, body))
            nobody = world.client.ask(method, path, None, body)
            assert (nobody.status, nobody["www-authenticate"]) == (401, "Bearer")
    assert len({str(facts(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].json["code"]) == (403, "forbidden")
    assert world.client.ask(*route(shop, name, there), HELPER).status in (200, 403)


@pytest.mark.parametrize("name", [*of("rows"), *of("row"), *of("own")])
def test_nobody_in_particular_is_asked_who_they_are(shop: Running, world: TwoPeople, name: str) -> None:
    found = []
    for id_ in (rows_of(world, name, ANN)[0]["id"], absent()):
        method, path = route(shop, name, id_)
        found.append(world.client.ask(method, path, None, BODIES.get(name)))
    assert facts(found[0]) == facts(found[1])
    assert (found[0].status, found[0].json["code"]) == (401, "credentials_missing")


@pytest.mark.parametrize("name", of("public"))
def test_what_is_public_has_nothing_of_anybody(shop: Running, world: TwoPeople, name: str) -> None:
    product = world.products["TEA-GREEN"]
    _, path = route(shop, name, product["id" if "product" in name else "category_id"])
    for who in (None, ANN, BOB, BOSS):
        answer = world.client.get(path, who)
        assert (answer.status, world.leaks(answer)) == (200, [])


def test_a_path_or_method_that_is_not_there_is_so_for_everybody(client: Client) -> None:
    for who in (None, BOB, BOSS):
        assert client.ask("GET", "/nothing", who).status == 404
        assert client.ask("PUT", "/orders", who).status == 405


def test_reports_add_up_all_orders_for_who_may_read_them(world: TwoPeople) -> None:
    assert world.client.get("/reports/sales", BOSS).json["orders"] >= 3
