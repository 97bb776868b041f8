"""The client drives a service through its whole pipeline, on memory and on SQLite, by a clock that the test decides."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from kit_sample import Mailer, Order, Product, shop

from mainstay import Module, Service
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.faults import StartupFailed
from mainstay.testing import Client, FixedClock, as_principal

ANN = as_principal("ann", roles=["customer"])
BOB = as_principal("bob")
MANAGER = as_principal("max", roles="manager")


class Outbound(Mailer):
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, text: str) -> None:
        self.sent.append(text)


def tea(stock: int = 5) -> Product:
    return Product(sku="TEA", price=Decimal("3.50"), stock=stock)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_request_goes_all_the_way(kind: str, tmp_path: Path) -> None:
    clock = FixedClock()
    file = SqliteStore(tmp_path / "t.db", create=True, synchronous="off", clock=clock.monotonic)
    async with Client(shop, store=file if kind == "sqlite" else None, clock=clock) as client:
        (product,) = await client.given(tea())
        answer = await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 2})
        assert (answer.status, answer.json["quantity"]) == (201, 2)
        assert answer.json["customer_id"] == str(ANN.id)
        assert [row.stock for row in await client.stored(Product)] == [3]
        assert [row.product_id for row in await client.stored(Order, quantity=2)] == [product.id]
        assert len((await client.get("/orders", who=ANN)).json["items"]) == 1
        assert (await client.get("/orders", who=BOB)).json["items"] == []


async def test_each_stage_answers_as_it_would() -> None:
    async with Client(shop) as client:
        await client.given(tea(1))
        wanted = {"sku": "TEA", "quantity": 2}
        assert (await client.post("/orders", json=wanted)).status == 401
        assert (await client.post("/products", who=ANN, json={})).status == 403
        sold_out = await client.post("/orders", who=ANN, json=wanted)
        assert (sold_out.status, sold_out.code, sold_out.json["left"]) == (409, "sold_out", 1)
        invalid = await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 0})
        assert (invalid.status, invalid.json["faults"][0]["pointer"]) == (422, "/quantity")
        assert (
            await client.post("/orders", who=ANN, body=b"{", headers={"Content-Type": "application/json"})
        ).status == 400
        assert (await client.post("/orders", who=ANN, json=wanted)).code == "rate_limited"
        client.clock.advance(60)
        assert (await client.post("/orders", who=ANN, json=wanted)).code == "sold_out"
        assert (await client.get("/orders", headers={"Authorization": "Bearer unknown"})).status == 401


async def test_a_key_makes_a_command_happen_once() -> None:
    async with Client(shop) as client:
        await client.given(tea())
        answers = [await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 1}, key="k") for _ in range(2)]
        assert answers[0].body == answers[1].body
        assert answers[1].headers["idempotency-replayed"] == "true"
        assert len(await client.stored(Order)) == 1


async def test_other_methods_and_the_query_string() -> None:
    async with Client(shop) as client:
        (product,) = await client.given(tea())
        changed = await client.patch(
            f"/products/{product.id}", who=MANAGER, json={"stock": 9}, headers={"If-Match": '"1"'}
        )
        assert changed.status in (200, 412)
        found = await client.get("/products", query={"sku": "TEA", "fields": "sku"})
        assert found.json == {"items": [{"sku": "TEA"}]}
        assert (await client.get("/products", query=[("stock[gte]", 100)])).json["items"] == []
        assert (await client.delete(f"/products/{product.id}", who=MANAGER)).status == 405
        assert (await client.put("/products", json={})).status == 405
        assert (await client.request("HEAD", "/products")).body == b""
        assert "openapi" in (await client.get("/openapi.json")).json
        assert (await client.get("/products")).code is None
        assert (await client.get("/nowhere")).text.startswith("{")


async def test_an_unexpected_exception_is_raised_in_the_test() -> None:
    async with Client(shop) as client:
        with pytest.raises(ZeroDivisionError, match="at 2026"):
            await client.get("/broken")
    async with Client(shop, raise_errors=False) as client:
        answer = await client.get("/broken")
        assert (answer.status, answer.code) == (500, "internal_error")
        assert "ZeroDivision" not in str(answer)


async def test_events_wait_to_be_delivered_and_provisions_can_be_replaced() -> None:
    mailer = Outbound()
    async with Client(shop, replace={Mailer: mailer}) as client:
        await client.given(tea())
        await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 2})
        assert await client.waiting() == [("tea.Ordered", {"sku": "TEA", "quantity": 2})]
        assert mailer.sent == []
        assert await client.deliver() == 1
        assert (mailer.sent, await client.waiting()) == (["2 TEA"], [])
        assert await client.deliver() == 0
    assert [p.type for p in shop.provisions] == [Mailer]


async def test_a_consumer_that_fails_is_told() -> None:
    async with Client(shop) as client:
        await client.given(tea())
        await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 2})
        with pytest.raises(OSError, match="no way outside"):
            await client.deliver()
    async with Client(shop, raise_errors=False) as client:
        await client.given(tea())
        await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 2})
        assert await client.deliver() == 0
        assert len(await client.waiting()) == 1


async def test_seeds_and_observations() -> None:
    async with Client(shop) as client:
        assert await client.seed() == await client.seed() == ["stock"]
        await client.post("/orders", who=ANN, json={"sku": "TEA", "quantity": 1})
        call = client.recorder.calls[-1]
        assert (call.operation, call.status, call.principal) == ("order", 201, ANN)
        assert [notice.facts["sku"] for notice in client.recorder.notices if notice.event == "ordered"] == ["TEA"]


async def test_a_service_that_cannot_run_says_so() -> None:
    module = Module("wrong")

    @module.query("GET /x")
    async def nobody_may() -> Product:
        raise ZeroDivisionError

    with pytest.raises(StartupFailed, match="nobody_may"):
        Client(Service("wrong", modules=[module]))


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Client(shop).get("/products")
    with pytest.raises(RuntimeError, match="not open"):
        await Client(shop).deliver()


def test_a_principal_has_the_same_id_for_the_same_name() -> None:
    again = as_principal("ann", roles={"customer"}, scopes="read", tenant="acme", region="north")
    assert (again.id, again.subject, again.authenticated) == (ANN.id, "ann", True)
    assert ANN.id != BOB.id
    assert (again.scopes, again.tenant, dict(again.claims)) == (frozenset({"read"}), "acme", {"region": "north"})
    assert as_principal(str(UUID(int=7))).id == UUID(int=7)
