"""Endpoints are whose they are: export and erasure of a person reach them, and leave those of tenants alone."""

from __future__ import annotations

from typing import Any

import pytest
from webhook_shop import registered, shop

from mainstay import role
from mainstay.adapters.memory.http import MemoryHttp
from mainstay.app.privacy.erasing import erase
from mainstay.app.privacy.exporting import export
from mainstay.ports.http import HttpAnswer
from mainstay.ports.http_exchange import HttpRequest
from mainstay.testing import Client, as_principal
from mainstay.webhooks.entities import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret

ANN, BOB = as_principal("ann"), as_principal("bob")
ENTITIES = (WebhookEndpoint, WebhookSecret, WebhookDelivery, WebhookAttempt)


class Receiver(MemoryHttp):
    """Takes everything."""

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(status=204)


async def order(client: Client, who: Any) -> None:
    assert (await client.post("/orders", who=who, json={"customer_id": str(who.id)})).status == 201
    await client.deliver()


async def counted(client: Client) -> list[int]:
    return [len(await client.stored(entity)) for entity in ENTITIES]


@pytest.mark.parametrize("said", [{}, {"to": "customer_id"}], ids=str)
async def test_what_is_a_persons_is_exported_and_erased_with_all_that_was_sent_there(said: Any) -> None:
    async with Client(shop(**said), http=Receiver()) as client:
        await registered(client, ANN, "https://ann.example/hook")
        await registered(client, BOB, "https://bob.example/hook")
        for who in (ANN, BOB):
            await order(client, who)
        assert await counted(client) == [2, 2, 2, 2]
        exported = await export(client.bound, ANN.id)
        rows = {part.entity: part.rows for part in exported.entities}
        assert [row["url"] for row in rows["webhooks.WebhookEndpoint"]] == ["https://ann.example/hook"]
        assert len(rows["webhooks.WebhookDelivery"]) == len(rows["webhooks.WebhookAttempt"]) == 1
        await erase(client.bound, ANN.id)
        assert await counted(client) == [1, 1, 1, 1]
        assert [one.url for one in await client.stored(WebhookEndpoint)] == ["https://bob.example/hook"]


@pytest.mark.parametrize("everybody", [False, True])
async def test_what_is_a_tenants_or_everybodys_stays(everybody: bool) -> None:
    who = as_principal("kim", tenant=None if everybody else "acme", roles=["staff"])
    service = shop(to="*", allow=role("staff")) if everybody else shop()
    async with Client(service, http=Receiver()) as client:
        await registered(client, who, "https://acme.example/hook")
        await erase(client.bound, who.id)
        assert [one.person_id for one in await client.stored(WebhookEndpoint)] == [None]
