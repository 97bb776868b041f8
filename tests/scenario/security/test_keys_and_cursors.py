"""Idempotency keys and cursors are of who was given them: in other hands they open nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hostile_service import refused
from shop_served import Client, Person
from two_people import ANN, BOB, BOSS, HELPER, TwoPeople

WANTED = {"lines": [{"sku": "CUP-BLUE", "quantity": 1}]}


def test_a_replay_is_for_who_sent_the_first(client: Client, world: TwoPeople) -> None:
    key = {"Idempotency-Key": '"shared-key"'}
    first = client.ask("POST", "/orders", ANN, WANTED, key)
    again = client.ask("POST", "/orders", ANN, WANTED, key)
    assert (again.body, again["idempotency-replayed"], again["location"]) == (first.body, "true", first["location"])
    other = client.ask("POST", "/orders", BOB, WANTED, key)
    assert (other.status, "idempotency-replayed" in other) == (201, False)
    assert other.json["customer_id"] == str(BOB.id)
    assert other.json["id"] != first.json["id"]
    assert client.get(other["location"], ANN).status == 404


def test_a_key_in_use_by_another_is_not_noticed(client: Client) -> None:
    key = {"Idempotency-Key": '"another-key"'}
    assert client.ask("POST", "/orders", ANN, WANTED, key).status == 201
    different = {"lines": [{"sku": "CUP-BLUE", "quantity": 2}]}
    assert client.ask("POST", "/orders", BOB, different, key).status == 201
    assert refused(client.ask("POST", "/orders", ANN, different, key), 422) == "idempotency_key_reused"


def test_a_key_is_of_one_operation(client: Client) -> None:
    key = {"Idempotency-Key": '"one-key"'}
    made = client.ask("POST", "/categories", BOSS, {"slug": "keys", "title": "Keys"}, key)
    body = {"sku": "KEY", "name": "Key", "price": "1", "category_id": made.json["id"]}
    product = client.ask("POST", "/products", BOSS, body, key)
    assert (made.status, product.status) == (201, 201)
    assert "idempotency-replayed" not in product


def test_a_replay_passes_todays_policies(client: Client) -> None:
    key = {"Idempotency-Key": '"was-a-manager"'}
    body = {"slug": "demoted", "title": "Demoted"}
    person = Person(40, "manager")
    assert client.ask("POST", "/categories", person, body, key).status == 201
    plain = Person(40, "customer")
    headers = {**key, "Authorization": f"Bearer {client.running.token(plain)}"}
    answer = client.ask("POST", "/categories", plain, body, headers)
    assert refused(answer, 403) == "forbidden"


def test_only_what_was_done_is_replayed(client: Client) -> None:
    key = {"Idempotency-Key": '"too-many"'}
    much = {"lines": [{"sku": "POT-SMALL", "quantity": 16}]}
    assert refused(client.ask("POST", "/orders", ANN, much, key), 409) == "out_of_stock"
    pot = client.get("/products?sku=POT-SMALL").json["items"][0]
    client.ask("PATCH", f"/products/{pot['id']}", BOSS, {"stock": 20})
    answer = client.ask("POST", "/orders", ANN, much, key)
    assert (answer.status, "idempotency-replayed" in answer) == (201, False)


@pytest.fixture(scope="module")
def cursor(client: Client, world: TwoPeople) -> str:
    """Return a cursor of Ann's."""
    found: str = client.get("/orders?limit=1", ANN).json["next"]
    return found


def test_a_cursor_is_good_for_who_was_given_it(client: Client, cursor: str) -> None:
    assert client.get(f"/orders?limit=1&cursor={cursor}", ANN).status == 200
    assert client.get(f"/orders?limit=5&cursor={cursor}", ANN).status == 200  # another size is the same search


@pytest.mark.parametrize("who", [BOB, BOSS, HELPER], ids=["another customer", "a manager", "support"])
def test_a_cursor_is_useless_to_another(client: Client, cursor: str, who: Person) -> None:
    answer = client.get(f"/orders?limit=1&cursor={cursor}", who)
    assert refused(answer, 400) == "cursor_invalid"
    assert b"items" not in answer.body


ELSEWHERE = [
    "/orders?limit=1&sort=total",
    "/orders?limit=1&sort=-id",
    "/orders?limit=1&status=placed",
    "/orders?limit=1&total[gte]=0",
    "/customers?limit=1",
    "/letters?limit=1",
    "/products?limit=1",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_cursor_is_useless_for_another_search(client: Client, cursor: str, target: str) -> None:
    assert refused(client.get(f"{target}&cursor={cursor}", ANN), 400) == "cursor_invalid"


def test_a_cursor_that_was_changed_is_none(client: Client, cursor: str) -> None:
    changed = [
        "",
        "x",
        cursor[:-1],
        cursor + "A",
        cursor[1:],
        cursor.swapcase(),
        cursor[:10] + "A" + cursor[11:],
        "A" * 5000,
    ]
    for text in (text for text in changed if text != cursor):
        assert refused(client.get(f"/orders?limit=1&cursor={text}", ANN), 400) == "cursor_invalid"


def test_a_cursor_says_nothing_in_clear(world: TwoPeople, cursor: str) -> None:
    from base64 import urlsafe_b64decode

    sealed: Any = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert not [mark for mark in world.marks if mark.encode() in sealed or mark in cursor]


def test_pages_of_what_is_public_may_be_read_on_by_anybody(client: Client) -> None:
    following = client.get("/products?limit=2", ANN).json["next"]
    assert client.get(f"/products?limit=2&cursor={following}", BOB).status == 200
    assert client.get(f"/products?limit=2&cursor={following}").status == 200
