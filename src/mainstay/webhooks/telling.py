"""Telling: an event becomes a message to each endpoint that is told of it, committed with the consumer's mark."""

from __future__ import annotations

from uuid import UUID

import msgspec

from mainstay.model.inputs import RawBody
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.webhooks.entities import WebhookDelivery, WebhookEndpoint, share_of
from mainstay.webhooks.messages import body_of, message_id, moment_of
from mainstay.webhooks.rules import WebhookRules


class Occasion(msgspec.Struct, frozen=True):
    """What a call is made for. Once it has ended, the sender looks for what is due."""

    event: str = ""
    message: UUID | None = None


async def tell(
    payload: RawBody,
    who: Principal,
    occasion: Occasion,
    endpoints: Repository[WebhookEndpoint],
    deliveries: Repository[WebhookDelivery],
    rules: WebhookRules,
    ids: Ids,
    clock: Clock,
) -> None:
    """Make a message of an event for each endpoint that is told of it."""
    audience = rules.audience_of_event(payload, who)
    if audience is None:
        return
    emitted = occasion.message or ids.next()
    now, body = clock.now(), ""
    async for endpoint in endpoints.stream(audience=audience, disabled_at=None, sort="id"):
        if endpoint.events and occasion.event not in endpoint.events:
            continue
        body = body or body_of(occasion.event, moment_of(emitted, now), payload)
        await deliveries.add(
            WebhookDelivery(
                endpoint_id=endpoint.id,
                audience=audience,
                message_id=message_id(endpoint.id, emitted),
                event=occasion.event,
                payload=body,
                due_at=now,
                share=share_of(endpoint.id),
            )
        )
