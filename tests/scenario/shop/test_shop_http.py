"""What HTTP promises, on the shop: validators, preconditions, patches, pages, and the methods and media it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hostile_service import refused
from kinds_sample import module
from shop_served import Client, Person, Running, settings_for

from mainstay import Service

BOSS, ANN = Person(1, "manager"), Person(2, "customer")
_numbers = count(1)


def made(client: Client, **fields: Any) -> dict[str, Any]:
    """Put a product on sale."""
    category = client.get("/categories?slug=tea").json["items"][0]["id"]
    body = {"sku": f"HTTP-{next(_numbers)}", "name": "Made", "price": "5.00", "category_id": category, **fields}
    answer = client.ask("POST", "/products", BOSS, body)
    assert answer.status == 201, answer.body
    product: dict[str, Any] = {**answer.json, "path": answer["location"], "etag": answer["etag"]}
    return product


def test_a_created_row_says_where_it_is(client: Client) -> None:
    product = made(client)
    assert product["path"] == f"/products/{product['id']}"
    found = client.get(product["path"], BOSS)
    assert (found.json["version"], found["etag"]) == (1, product["etag"])
    assert re.fullmatch(r'"1-[0-9a-f]{8}"', found["etag"])


def test_what_is_known_is_not_sent_again(client: Client) -> None:
    product = made(client)
    etag = client.get(product["path"])["etag"]
    for named in (etag, "*", f"W/{etag}", f'"x", {etag}'):
        answer = client.get(product["path"], If_None_Match=named)
        assert (answer.status, answer.body, answer["etag"]) == (304, b"", etag)
        assert "content-type" not in answer
    client.ask("PATCH", product["path"], BOSS, {"stock": 4})
    changed = client.get(product["path"], If_None_Match=etag)
    assert (changed.status, changed.json["stock"]) == (200, 4)
    assert changed["etag"] != etag


def test_a_change_of_another_version_is_refused(client: Client) -> None:
    product = made(client)
    first = {"If-Match": product["etag"]}
    changed = client.ask("PATCH", product["path"], BOSS, {"stock": 1}, first)
    assert (changed.status, changed.json["version"]) == (200, 2)
    for method in ("PATCH", "DELETE"):
        late = client.ask(method, product["path"], BOSS, {"stock": 2} if method == "PATCH" else None, first)
        assert refused(late, 412) == "precondition_failed"
    assert client.get(product["path"]).json["stock"] == 1
    weak = {"If-Match": f"W/{changed['etag']}"}
    assert refused(client.ask("PATCH", product["path"], BOSS, {"stock": 3}, weak), 412) == "precondition_failed"
    answer = client.ask("PATCH", product["path"], BOSS, {"stock": 3}, {"If-Match": changed["etag"]})
    assert answer.status == 200
    answer = client.ask("PATCH", product["path"], BOSS, {"stock": 4}, {"If-Match": "*"})
    assert client.ask("DELETE", product["path"], BOSS, None, {"If-Match": answer["etag"]}).status == 204
    assert client.get(product["path"]).status == 404


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service whose changes must say what they change."""
    root: Path = tmp_path_factory.mktemp("strict")
    settings = settings_for("memory:", root, **{"auth.issuer": "strict", "auth.audience": ["strict"]})
    running = Running(settings, Service("strict", modules=[module]))
    yield running.socket_client()
    running.stop()


def test_a_change_that_must_be_conditional_is_refused_without(strict: Client) -> None:
    shelf = strict.ask("POST", "/shelves", ANN, {"code": "A", "spot": {"street": "Main"}})
    path = f"/shelves/{shelf.json['id']}"
    assert refused(strict.ask("PATCH", path, ANN, {"price": "2"}), 428) == "precondition_required"
    assert strict.ask("PATCH", path, ANN, {"price": "2"}, {"If-Match": shelf["etag"]}).status == 200
    assert refused(strict.ask("PATCH", path, ANN, {"price": "3"}, {"If-Match": shelf["etag"]}), 412)


def test_a_merge_patch_tells_null_from_absent(client: Client) -> None:
    product = made(client, purchase_price="2.00", stock=9)
    assert client.ask("PATCH", product["path"], BOSS, {"name": "Other"}).json["purchase_price"] == "2.00"
    emptied = client.ask("PATCH", product["path"], BOSS, {"purchase_price": None}).json
    assert (emptied["purchase_price"], emptied["name"], emptied["stock"]) == (None, "Other", 9)
    assert refused(client.ask("PATCH", product["path"], BOSS, {"name": None}), 422) == "invalid"
    same = client.ask("PATCH", product["path"], BOSS, {})
    assert (same.status, same.json["name"]) == (200, "Other")
    plain = {"Content-Type": "application/json"}
    assert client.ask("PATCH", product["path"], BOSS, {"stock": 1}, plain).json["stock"] == 1


def test_the_next_links_lead_through_all_rows_while_others_come_and_go(client: Client) -> None:
    mark = next(_numbers)
    first = [made(client, name=f"Page {mark}", price=f"{n}.00")["id"] for n in (3, 1, 2, 5, 4, 3, 2)]
    gone = made(client, name=f"Page {mark}", price="2.00")
    target = f"/products?name=Page%20{mark}&sort=-price&limit=2&fields=id,price"
    seen: list[dict[str, str]] = []
    pages = 0
    while target:
        answer = client.get(target)
        seen += answer.json["items"]
        pages += 1
        if pages == 1:  # behind the place where the page ended, and before it
            late, early = (
                made(client, name=f"Page {mark}", price="1.50"),
                made(client, name=f"Page {mark}", price="9.00"),
            )
            client.ask("DELETE", gone["path"], BOSS)
        link = answer.all("link")
        target = link[0].partition(">")[0][1:] if link else ""
        assert bool(link) == ("next" in answer.json)
        assert not link or answer.json["next"] in link[0]
        assert not link or link[0].endswith('>; rel="next"')
    ids = [row["id"] for row in seen]
    assert len(ids) == len(set(ids))
    assert set(ids) == {*first, late["id"]}
    assert early["id"] not in ids
    assert [row["price"] for row in seen] == sorted((row["price"] for row in seen), reverse=True)
    assert pages == 4


def test_a_list_of_everything_is_the_same_in_pages_of_any_size(client: Client) -> None:
    whole = client.get("/products?limit=200&count=exact").json
    assert whole["count"] == len(whole["items"])
    for size in (1, 3, 50):
        target, ids = f"/products?limit={size}", []
        while target:
            answer = client.get(target).json
            ids += [row["id"] for row in answer["items"]]
            target = f"/products?limit={size}&cursor={answer['next']}" if "next" in answer else ""
        assert ids == [row["id"] for row in whole["items"]]


def test_only_what_is_asked_for_is_given(client: Client) -> None:
    product = made(client)
    some = client.get(f"{product['path']}?fields=sku,price")
    assert some.json == {"sku": product["sku"], "price": "5.00"}
    assert some["etag"] != client.get(product["path"])["etag"]
    rows = client.get(f"/products?sku={product['sku']}&fields=price,id&count=exact").json
    assert rows == {"items": [{"id": product["id"], "price": "5.00"}], "count": 1}


def test_relations_are_given_where_they_are_asked_for(client: Client) -> None:
    product = made(client, stock=10)
    placed = client.ask("POST", "/orders", ANN, {"lines": [{"sku": product["sku"]}] * 2}).json
    plain = client.get(f"/orders?id={placed['id']}", ANN).json["items"][0]
    assert "lines" not in plain
    (whole,) = client.get(f"/orders?id={placed['id']}&include=lines", ANN).json["items"]
    assert whole["lines"] == placed["lines"]
    (part,) = client.get(f"/orders?id={placed['id']}&include=lines&fields=id", ANN).json["items"]
    assert part == {"id": placed["id"], "lines": placed["lines"]}


FILTERS = [
    ("price[gte]=10&price[lt]=20", {"TEA-WHITE"}),
    ("price=6.9", {"TEA-GREEN"}),
    ("sku[starts]=POT-", {"POT-SMALL", "POT-LARGE"}),
    ("name[contains]=teapot&stock[gt]=0", {"POT-SMALL"}),
    ("sku[in]=TEA-GREEN,CUP-BLUE,NONE", {"TEA-GREEN", "CUP-BLUE"}),
    ("stock=0", {"POT-LARGE"}),
    ("price[gte]=100", set()),
]


@pytest.mark.parametrize(("query", "skus"), FILTERS, ids=[query for query, _ in FILTERS])
def test_filters_find_what_they_say(client: Client, query: str, skus: set[str]) -> None:
    found = {row["sku"] for row in client.get(f"/products?{query}&limit=200").json["items"]}
    assert {sku for sku in found if not sku.startswith(("HTTP-", "NEW-"))} == skus


def test_head_is_get_without_the_body(client: Client) -> None:
    product = made(client)
    for path in (product["path"], "/products?limit=1", "/openapi.json", "/docs", "/health", "/nothing"):
        get, head = client.get(path), client.ask("HEAD", path)
        assert (head.status, head.body) == (get.status, b"")
        left = {"date", "x-request-id", "link"}
        fields = [{(n.lower(), v) for n, v in one.headers if n.lower() not in left} for one in (get, head)]
        assert fields[0] == fields[1], path


METHODS = [
    ("/products", "GET, HEAD, OPTIONS, POST"),
    ("/products/0199c0de-0000-7000-8000-000000000001", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ("/orders", "GET, HEAD, OPTIONS, POST"),
    ("/orders/0199c0de-0000-7000-8000-000000000001/cancel", "OPTIONS, POST"),
    ("/health", "GET, HEAD, OPTIONS"),
    ("/openapi.json", "GET, HEAD, OPTIONS"),
]


@pytest.mark.parametrize(("path", "allowed"), METHODS, ids=[path for path, _ in METHODS])
def test_a_path_says_which_methods_it_takes(client: Client, path: str, allowed: str) -> None:
    options = client.ask("OPTIONS", path)
    assert (options.status, options["allow"], options.body) == (204, allowed, b"")
    for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"} - set(allowed.split(", ")):
        answer = client.ask(method, path)
        assert refused(answer, 405) == "method_not_allowed"
        assert answer["allow"] == allowed


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/*", "text/html;q=0.9, */*;q=0.1"])
def test_json_is_given_to_who_takes_it(client: Client, accept: str) -> None:
    assert client.get("/products", Accept=accept).status == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0", "image/*", "*/*;q=0"])
def test_nothing_else_is_given(client: Client, accept: str) -> None:
    assert refused(client.get("/products", Accept=accept), 406) == "not_acceptable"


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_nothing_else_is_taken(client: Client, media: str) -> None:
    answer = client.ask("POST", "/orders", ANN, b"{}", {"Content-Type": media})
    assert refused(answer, 415) == "unsupported_media"
    assert answer["accept-post"] == "application/json, application/vnd.msgpack"


def test_pages_of_other_origins_are_not_let_in(client: Client) -> None:
    for method, headers in (
        ("GET", {"Origin": "https://evil.example"}),
        ("OPTIONS", {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}),
        ("POST", {"Origin": "null"}),
    ):
        answer = client.ask(method, "/orders", None, {} if method == "POST" else None, headers)
        assert [name for name, _ in answer.headers if name.lower().startswith("access-control")] == []


def test_every_answer_has_a_request_id_that_can_be_given(client: Client) -> None:
    assert client.get("/products", X_Request_ID="mine-1.2_3")["x-request-id"] == "mine-1.2_3"
    for bad in ("a b", "x" * 65, "<script>", "é"):
        own = client.get("/nothing", X_Request_ID=bad)["x-request-id"]
        assert own != bad
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", own)
