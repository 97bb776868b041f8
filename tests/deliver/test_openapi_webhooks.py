"""Webhooks in the contract: what is sent stands beside what is served, and the document is a right one."""

from __future__ import annotations

from typing import Any

import msgspec
from openapi_spec_validator import validate
from webhook_shop import shop

from mainstay import Event, Module, Service, Webhooks
from mainstay.deliver.openapi.document import openapi
from mainstay.inbound.http.problems import STATUS
from mainstay.testing import Client


class Silent(Event):
    text: str


def document_of(service: Service) -> dict[str, Any]:
    return msgspec.json.decode(openapi(Client(service).bound, STATUS), type=dict[str, Any])


def test_the_messages_stand_in_the_contract() -> None:
    document = document_of(shop())
    validate(document)
    assert list(document["webhooks"]) == ["orders.OrderPaid", "orders.OrderPlaced"]
    placed = document["webhooks"]["orders.OrderPlaced"]["post"]
    assert placed["summary"] == "An order was placed"
    assert [one["name"] for one in placed["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    schema = placed["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["type"] == {"const": "orders.OrderPlaced"}
    named = schema["properties"]["data"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][named]["properties"]) == {"order_id", "customer_id", "total"}


def test_the_doors_show_no_secret_but_once() -> None:
    document = document_of(shop())
    shown = document["components"]["schemas"]
    assert "secret" in shown["EndpointMade"]["properties"]
    ours = [schema for name, schema in shown.items() if name.startswith("Webhook")]
    rows = [schema["properties"] for schema in ours if "properties" in schema]
    assert len(rows) >= 3
    assert all({"audience", "share", "sealed", "secret"}.isdisjoint(properties) for properties in rows)
    assert "/webhooks/endpoints/{endpoint_id}/secret/rotate" in document["paths"]


def test_a_service_that_sends_none_says_nothing_of_them() -> None:
    module = Module("quiet")

    @module.on(Silent)
    async def hear(event: Silent) -> None: ...

    assert "webhooks" not in document_of(Service("quiet", modules=[module]))
    said = document_of(Service("loud", modules=[module_of()], webhooks=Webhooks(events=[Silent])))
    assert list(said["webhooks"]) == ["quiet.Silent"]


def module_of() -> Module:
    module = Module("quiet")

    @module.on(Silent)
    async def hear(event: Silent) -> None: ...

    return module
