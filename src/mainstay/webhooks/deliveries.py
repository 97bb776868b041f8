"""The use cases of deliveries: looked at, sent again, and tried out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.model.conditions import ge
from mainstay.model.inputs import Find, Page
from mainstay.model.problem import Conflict
from mainstay.model.structs import Dto
from mainstay.ports.bulk import Bulk
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.webhooks.endpoints import Endpoints
from mainstay.webhooks.entities import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint, share_of
from mainstay.webhooks.messages import TEST_EVENT, body_of, message_id
from mainstay.webhooks.telling import Occasion


class EndpointIsDisabled(Conflict, hint="Enable it first."):
    """The endpoint is disabled: nothing is sent to it."""


class Resending(Dto):
    """Which deliveries are sent again: those that failed and were made at this time or later."""

    since: datetime


class ResendingBegun(Dto):
    """How many deliveries will be sent again."""

    deliveries: int


class Deliveries:
    """The deliveries that a caller may look at, and send again."""

    def __init__(
        self, rows: Repository[WebhookDelivery], endpoints: Endpoints, occasion: Occasion, clock: Clock
    ) -> None:
        self.rows = rows
        self.endpoints = endpoints
        self.occasion = occasion  # who has this has the sender look at the end of the call
        self.clock = clock

    async def get(self, id_: UUID) -> WebhookDelivery:
        """Return a delivery. Raises ``NotFound``, for those of others too."""
        delivery = await self.rows.get(id_)
        await self.endpoints.get(delivery.endpoint_id)
        return delivery

    async def sendable(self, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an endpoint that may be sent to. Raises ``NotFound`` and ``EndpointIsDisabled``."""
        endpoint = await self.endpoints.get(endpoint_id, lock=True)
        if endpoint.disabled_at is not None:
            raise EndpointIsDisabled
        return endpoint


async def list_webhook_deliveries(find: Find[WebhookDelivery], deliveries: Deliveries) -> Page[WebhookDelivery]:
    """List deliveries: of all endpoints, unless ``endpoint_id`` names one."""
    return await deliveries.rows.page(find, audience=deliveries.endpoints.audience)


async def get_webhook_delivery(delivery_id: UUID, deliveries: Deliveries) -> WebhookDelivery:
    """Show a delivery, with what was sent."""
    return await deliveries.get(delivery_id)


async def list_webhook_attempts(
    delivery_id: UUID, find: Find[WebhookAttempt], deliveries: Deliveries, attempts: Repository[WebhookAttempt]
) -> Page[WebhookAttempt]:
    """List the attempts at a delivery."""
    delivery = await deliveries.get(delivery_id)
    return await attempts.page(find, delivery_id=delivery.id)


async def resend_webhook_delivery(delivery_id: UUID, deliveries: Deliveries) -> WebhookDelivery:
    """Send a delivery again, whatever became of it. Its ``webhook-id`` stays, so that a receiver knows it again."""
    delivery = await deliveries.get(delivery_id)
    await deliveries.sendable(delivery.endpoint_id)
    now = deliveries.clock.now()
    return await deliveries.rows.update(delivery, state=DeliveryState.PENDING, attempts=0, due_at=now)


async def resend_failed_webhooks(
    endpoint_id: UUID, wanted: Resending, deliveries: Deliveries, rows: Bulk[WebhookDelivery]
) -> ResendingBegun:
    """Send all deliveries to an endpoint again that have failed and were made at a time or later."""
    endpoint = await deliveries.sendable(endpoint_id)
    begun = await rows.update(
        endpoint_id=endpoint.id,
        state=DeliveryState.FAILED,
        created_at=ge(wanted.since),
        set={"state": DeliveryState.PENDING, "attempts": 0, "due_at": deliveries.clock.now()},
    )
    return ResendingBegun(deliveries=begun)


async def test_webhook_endpoint(endpoint_id: UUID, deliveries: Deliveries, ids: Ids) -> WebhookDelivery:
    """Send a test message to an endpoint. The delivery says what became of it."""
    endpoint = await deliveries.sendable(endpoint_id)
    now = deliveries.clock.now()
    return await deliveries.rows.add(
        WebhookDelivery(
            endpoint_id=endpoint.id,
            audience=endpoint.audience,
            message_id=message_id(endpoint.id, ids.next()),
            event=TEST_EVENT,
            payload=body_of(TEST_EVENT, now, b"{}"),
            due_at=now,
            share=share_of(endpoint.id),
        )
    )
