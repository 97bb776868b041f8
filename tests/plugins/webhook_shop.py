"""A shop that tells its customers of orders, and what a receiver does with a message."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from mainstay import Dto, Entity, Event, Events, Module, Repository, Service, Webhooks, authenticated, role
from mainstay.adapters.jose import load_secret, mint
from mainstay.testing import Client
from mainstay.webhooks.events import EndpointDisabled


class Order(Entity):
    customer_id: UUID
    total: int


class OrderPlaced(Event):
    """An order was placed."""

    order_id: UUID
    customer_id: UUID
    total: int


class OrderPaid(Event):
    """An order was paid."""

    order_id: UUID
    customer_id: UUID


class Notice(Entity):
    """What the shop was told of an endpoint."""

    owner_id: UUID
    reason: str


class Wanted(Dto):
    customer_id: UUID
    total: int = 10
    paid: bool = False


def shop(**said: Any) -> Service:
    """Return the service; ``said`` of its webhooks."""
    orders = Module("orders")

    @orders.command("POST /orders", status=201, allow=authenticated)
    async def place_order(wanted: Wanted, orders: Repository[Order], events: Events) -> Order:
        order = await orders.add(Order(customer_id=wanted.customer_id, total=wanted.total))
        events.emit(OrderPlaced(order_id=order.id, customer_id=order.customer_id, total=order.total))
        if wanted.paid:
            events.emit(OrderPaid(order_id=order.id, customer_id=order.customer_id))
        return order

    @orders.on("webhooks.EndpointDisabled")
    async def note(event: EndpointDisabled, notices: Repository[Notice]) -> None:
        await notices.add(Notice(owner_id=event.owner_id, reason=event.reason.value))

    @orders.query("GET /notices", allow=role("clerk"))
    async def count_notices(notices: Repository[Notice]) -> int:
        return await notices.count()

    events: list[Any] = [OrderPlaced, "orders.OrderPaid"]
    return Service("shop", modules=[orders], webhooks=Webhooks(**{"events": events, **said}))


async def registered(client: Client, who: Any, url: str = "https://one.example/hook", **said: Any) -> Any:
    """Register an endpoint, and return its id and its secret."""
    made = await client.post("/webhooks/endpoints", who=who, json={"url": url, **said})
    assert made.status == 201, made
    return made.json["id"], made.json["secret"]


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a message was signed with a secret, as a receiver finds out."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    made = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return made in headers["webhook-signature"].split(" ")


def said(body: bytes) -> dict[str, Any]:
    """Return what a message says."""
    return msgspec.json.decode(body, type=dict[str, Any])


KEY = "a key of the shop of the tests, longer than 32 bytes"
TOML = """[database]
url = "sqlite:///shop.sqlite"
create = true
[auth]
key = "{key}"
issuer = "https://issuer.example"
audience = "shop"
[sealing]
secret = "what the shop of the tests seals with, 32 bytes"
[outgoing]
allow = ["127.0.0.0/8"]
{more}
"""


def toml(more: str = "") -> str:
    """Return the settings of a shop that may call what is on this machine."""
    return TOML.format(key=KEY, more=more)


def bearer(subject: UUID) -> dict[str, str]:
    """Return the header by which somebody calls."""
    given: Any = {"issuer": "https://issuer.example", "audience": "shop", "subject": str(subject)}
    return {"authorization": f"Bearer {mint(load_secret(KEY), now=time.time(), lifetime=3600, **given)}"}


SHOP = shop()
"""The shop as processes of its own run it."""
