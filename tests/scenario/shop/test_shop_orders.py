"""Orders from the shelf to the letter: placed while there is stock, cancelled, reported, each once."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hostile_service import refused
from http_clients import Answered
from shop_served import PATIENCE, Client, Person, Running

BOSS, HELPER = Person(1, "manager"), Person(2, "support")
_numbers = count(100)


@pytest.fixture
def ann() -> Person:
    """Return a customer who has ordered nothing yet."""
    return Person(next(_numbers), "customer")


def shelf(client: Client, stock: int, price: str = "2.50") -> dict[str, Any]:
    """Put a new product on sale."""
    category = client.get("/categories?slug=tea").json["items"][0]["id"]
    body = {"sku": f"NEW-{next(_numbers)}", "name": "New", "price": price, "stock": stock, "category_id": category}
    made = client.ask("POST", "/products", BOSS, body)
    assert made.status == 201, made.body
    product: dict[str, Any] = made.json
    return product


def order(client: Client, who: Person, *lines: tuple[str, int], **headers: str) -> Answered:
    body = {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]}
    return client.ask("POST", "/orders", who, body, headers)


def stock(client: Client, product: dict[str, Any]) -> int:
    left: int = client.get(f"/products/{product['id']}").json["stock"]
    return left


def letters(client: Client, who: Person, wanted: int) -> list[dict[str, Any]]:
    """Wait until so many letters have come, and a moment longer for one too many."""
    until = time.monotonic() + PATIENCE
    while len(found := client.get("/letters", who).json["items"]) < wanted:
        assert time.monotonic() < until, f"{len(found)} letters of {wanted}"
        time.sleep(0.02)
    time.sleep(0.05)
    return list(client.get("/letters", who).json["items"])


def test_an_order_is_placed_and_found(client: Client, ann: Person) -> None:
    tea, cup = shelf(client, 10), shelf(client, 5, "4.25")
    placed = order(client, ann, (tea["sku"], 3), (cup["sku"], 2))
    assert placed.status == 201
    assert placed["location"] == f"/orders/{placed.json['id']}"
    assert (placed.json["status"], placed.json["total"], placed.json["customer_id"]) == ("placed", "16.00", str(ann.id))
    assert [(line["sku"], line["quantity"], line["price"]) for line in placed.json["lines"]] == [
        (tea["sku"], 3, "2.50"),
        (cup["sku"], 2, "4.25"),
    ]
    assert {line["order_id"] for line in placed.json["lines"]} == {placed.json["id"]}
    found = client.get(placed["location"], ann)
    assert found.json == {name: value for name, value in placed.json.items() if name != "lines"}
    assert (stock(client, tea), stock(client, cup)) == (7, 3)


def test_stock_runs_out_and_nothing_is_taken_in_part(client: Client, ann: Person) -> None:
    tea, cup = shelf(client, 10), shelf(client, 1)
    answer = order(client, ann, (tea["sku"], 3), (cup["sku"], 2))
    assert refused(answer, 409) == "out_of_stock"
    assert (answer.json["sku"], answer.json["left"]) == (cup["sku"], 1)
    assert (stock(client, tea), stock(client, cup)) == (10, 1)
    assert client.get("/orders?count=exact", ann).json == {"items": [], "count": 0}
    assert order(client, ann, (cup["sku"], 1)).status == 201
    assert refused(order(client, ann, (cup["sku"], 1)), 409) == "out_of_stock"
    assert refused(order(client, ann, ("NO-SUCH", 1)), 404) == "not_found"


def test_two_lines_of_one_product_are_both_counted(client: Client, ann: Person) -> None:
    tea = shelf(client, 5)
    assert refused(order(client, ann, (tea["sku"], 3), (tea["sku"], 3)), 409) == "out_of_stock"
    assert order(client, ann, (tea["sku"], 3), (tea["sku"], 2)).status == 201
    assert stock(client, tea) == 0


def test_a_cancelled_order_puts_its_pieces_back_once(client: Client, ann: Person) -> None:
    tea = shelf(client, 10)
    placed = order(client, ann, (tea["sku"], 4))
    cancelled = client.ask("POST", f"{placed['location']}/cancel", ann)
    assert (cancelled.status, cancelled.json["status"], cancelled.json["version"]) == (200, "cancelled", 2)
    assert stock(client, tea) == 10
    again = client.ask("POST", f"{placed['location']}/cancel", ann)
    assert refused(again, 409) == "already_cancelled"
    assert stock(client, tea) == 10
    assert client.get("/orders?status=cancelled&count=exact", ann).json["count"] == 1


def test_support_sees_and_cancels_for_a_customer(client: Client, ann: Person) -> None:
    tea = shelf(client, 10)
    placed = order(client, ann, (tea["sku"], 4))
    assert client.get(placed["location"], HELPER).json["id"] == placed.json["id"]
    assert client.ask("POST", f"{placed['location']}/cancel", HELPER).json["status"] == "cancelled"
    assert client.get(placed["location"], ann).json["status"] == "cancelled"


def test_each_order_brings_one_letter(client: Client, ann: Person) -> None:
    tea = shelf(client, 50)
    placed = [order(client, ann, (tea["sku"], n)).json for n in (1, 2, 3)]
    found = letters(client, ann, 3)
    assert sorted(text for letter in found for text in [letter["text"]]) == sorted(
        f"We have your order {one['id']} of {one['total']} and are packing it." for one in placed
    )
    assert {letter["customer_id"] for letter in found} == {str(ann.id)}


def test_no_letter_for_an_order_that_was_not_placed(client: Client, ann: Person) -> None:
    tea = shelf(client, 1)
    refused(order(client, ann, (tea["sku"], 2)), 409)
    order(client, ann, (tea["sku"], 1))
    assert len(letters(client, ann, 1)) == 1


def test_the_report_adds_up(client: Client, ann: Person) -> None:
    before = client.get("/reports/sales", BOSS).json
    tea = shelf(client, 50, "1.10")
    order(client, ann, (tea["sku"], 3))
    gone = order(client, ann, (tea["sku"], 5))
    client.ask("POST", f"{gone['location']}/cancel", ann)
    after = client.get("/reports/sales", BOSS).json
    assert after["orders"] - before["orders"] == 2
    assert after["cancelled"] - before["cancelled"] == 1
    assert Decimal(after["revenue"]) - Decimal(before["revenue"]) == Decimal("3.30")
    (line,) = [one for one in after["products"] if one["sku"] == tea["sku"]]
    assert line == {"sku": tea["sku"], "pieces": 8, "orders": 2}
    assert {"sku": "POT-LARGE", "stock": 0} in client.get("/reports/shortages", BOSS).json
    assert client.get("/reports/shortages?below=0", HELPER).json == []


def at_once(shop: Running, calls: int, ask: Any) -> list[Answered]:
    """Make calls from as many threads, each with a client of its own."""
    answers: list[Answered] = []
    start = threading.Barrier(calls)

    def run() -> None:
        client = shop.socket_client()
        start.wait(PATIENCE)
        answers.append(ask(client))

    threads = [threading.Thread(target=run) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return answers


def test_the_last_pieces_are_sold_once(shop: Running, ann: Person) -> None:
    client = shop.socket_client()
    tea = shelf(client, 3)
    answers = at_once(shop, 16, lambda each: order(each, ann, (tea["sku"], 1)))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 13
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"out_of_stock"}
    assert stock(client, tea) == 0
    assert client.get("/orders?count=exact", ann).json["count"] == 3


def test_thirty_racing_retries_of_one_key_have_one_effect(shop: Running, ann: Person) -> None:
    client = shop.socket_client()
    tea = shelf(client, 100)
    key = {"Idempotency-Key": f'"{ann.id}"'}
    answers = at_once(shop, 30, lambda each: order(each, ann, (tea["sku"], 1), **key))
    done = [answer for answer in answers if answer.status == 201]
    assert len({answer.body for answer in done}) == 1
    assert {refused(answer, 409) for answer in answers if answer.status != 201} <= {"idempotency_in_flight"}
    assert stock(client, tea) == 99
    assert client.get("/orders?count=exact", ann).json["count"] == 1
    assert len(letters(client, ann, 1)) == 1
