"""A shop with two customers who must never learn of each other, and what gives one of them away."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

from http_clients import Answered
from shop_served import PATIENCE, Person, Running

ANN, BOB = Person(11, "customer"), Person(12, "customer")
BOSS, HELPER = Person(13, "manager"), Person(14, "support")
OF_EACH_REQUEST = frozenset({"date", "x-request-id", "ratelimit"})


class TwoPeople:
    """Rows of Ann and Bob, and marks: texts that stand in Ann's rows and nowhere else."""

    def __init__(self, running: Running) -> None:
        self.client = client = running.socket_client()
        self.products = {one["sku"]: one for one in client.get("/products").json["items"]}
        made = {
            who: client.ask("POST", "/customers", who, {"name": name, "email": f"{name.lower()}@example.com"}).json
            for who, name in ((ANN, "Annabel-Secret"), (BOB, "Bob"))
        }
        self.customers = {ANN: made[ANN], BOB: made[BOB]}
        note = {"note": "annabel pays late"}
        self.customers[ANN] = client.ask("PATCH", f"/customers/{made[ANN]['id']}", HELPER, note).json
        client.ask("PATCH", f"/customers/{made[BOB]['id']}", HELPER, {"note": "bob is fine"})
        self.orders = {ANN: [self.order(ANN, "TEA-GREEN", n) for n in (7, 11)], BOB: [self.order(BOB, "CUP-BLUE", 1)]}
        self.letters = {ANN: self.post(ANN, 2), BOB: self.post(BOB, 1)}
        self.marks = sorted(self._marks(), key=len)

    def order(self, who: Person, sku: str, quantity: int) -> Any:
        """Place an order, and return it with its lines."""
        placed = self.client.ask("POST", "/orders", who, {"lines": [{"sku": sku, "quantity": quantity}]})
        assert placed.status == 201, placed.body
        (whole,) = self.client.get(f"/orders?id={placed.json['id']}&include=lines", who).json["items"]
        return whole

    def post(self, who: Person, count: int) -> Any:
        """Wait for a person's letters."""
        until = time.monotonic() + PATIENCE
        while len(found := self.client.get("/letters", who).json["items"]) < count:
            assert time.monotonic() < until, "the letters did not arrive"
            time.sleep(0.02)
        return found

    def _marks(self) -> set[str]:
        rows = [self.customers[ANN], *self.orders[ANN], *self.letters[ANN]]
        rows += [line for order in self.orders[ANN] for line in order["lines"]]
        found = {str(ANN.id), "Annabel-Secret", "annabel@example.com", "annabel pays late"}
        for row in rows:
            found |= {row["id"], row["created_at"], row.get("text", row["id"])}
        return found | {order["total"] for order in self.orders[ANN]}

    def leaks(self, answer: Answered) -> list[str]:
        """Return the marks of Ann's that an answer has in its body or its headers."""
        told = answer.body.decode() + "".join(f"\n{name}: {value}" for name, value in answer.headers)
        return [mark for mark in self.marks if mark in told]


def facts(answer: Answered, *, without: str = "") -> tuple[int, list[tuple[str, str]], str]:
    """Return what a caller can tell two answers apart by; ``without`` is the one text that the caller sent."""
    headers = sorted((n.lower(), v) for n, v in answer.headers if n.lower() not in OF_EACH_REQUEST)
    body = answer.body.decode()
    return (
        answer.status,
        [(n, v.replace(without, "@") if without else v) for n, v in headers],
        body.replace(without, "@") if without else body,
    )


def absent() -> str:
    """Return an id that no row has."""
    return str(UUID(int=uuid4().int & ~(0xF << 76) | 0x7 << 76))
