"""The rows of webhooks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.structs import Entity

MAX_URL = 2048
MAX_EVENTS = 100
GONE = 410
"""The status by which a receiver says that it wants no more (RFC 9110, section 15.5.11)."""


class DisabledReason(StrEnum):
    """Why an endpoint is told nothing."""

    OWNER = "owner"  # who has it wanted that
    GONE = "gone"  # it has answered 410
    FAILING = "failing"  # it has failed for too long


class DeliveryState(StrEnum):
    """What has become of a message to an endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookEndpoint(Entity, person="person_id"):
    """Where somebody is told of events. Without ``events`` it is told of all that it may be.

    One that is told of a tenant's events is the tenant's, and no person's: it stays when who registered it is erased.
    """

    audience: str = field(max_length=240, index=True, secret=True, read_only=True)  # whose events it is told of
    person_id: UUID | None = field(default=None, index=True, secret=True, read_only=True)  # whose it is, if a person's
    owner_id: UUID = field(read_only=True)
    tenant: str | None = field(default=None, max_length=200, read_only=True)
    url: str = field(max_length=MAX_URL)
    description: str = field(default="", max_length=200)
    events: list[str] = field(default_factory=list, max_length=MAX_EVENTS)
    disabled_at: datetime | None = field(default=None, read_only=True)
    disabled_reason: DisabledReason | None = field(default=None, read_only=True)
    failing_since: datetime | None = field(default=None, read_only=True)  # no attempt has succeeded since
    failing_status: int | None = field(default=None, read_only=True)


class WebhookSecret(Entity, person="endpoint_id"):
    """A secret that messages to an endpoint are signed with, sealed; until its end, where it has been replaced."""

    endpoint_id: UUID = field(references=WebhookEndpoint, on_delete="cascade", index=True)
    sealed: str = field(max_length=500, secret=True, read_only=True)
    expires_at: datetime | None = field(default=None)


class WebhookDelivery(Entity, person="endpoint_id"):
    """A message to an endpoint. ``message_id`` is its ``webhook-id``, the same each time that it is sent."""

    endpoint_id: UUID = field(references=WebhookEndpoint, on_delete="cascade", index=True)
    audience: str = field(max_length=240, index=True, secret=True, read_only=True)
    message_id: str = field(unique=True, max_length=64)
    event: str = field(max_length=200)
    payload: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0  # since it was to be sent, or sent again
    due_at: datetime | None = field(default=None, index=True)  # of the next attempt; None: there is none
    last_status: int | None = field(default=None)
    last_cause: str | None = field(default=None, max_length=40)
    share: int = field(secret=True, read_only=True)  # which part of the sending it belongs to


class WebhookAttempt(Entity, person="delivery_id"):
    """One attempt at a delivery. Nothing of the answer is kept but its status."""

    delivery_id: UUID = field(references=WebhookDelivery, on_delete="cascade", index=True)
    status: int | None = field(default=None)  # None: there was no answer
    cause: str | None = field(default=None, max_length=40)
    milliseconds: int


SHARES = 8
"""How many parts the sending is divided into, each of which one process at a time has."""


class WebhookShare(Entity):
    """Which process has a part of the sending, and until when."""

    number: int = field(unique=True)
    holder: str = field(max_length=200)
    until: datetime


def share_of(endpoint: UUID) -> int:
    """Return the part that the messages of an endpoint belong to."""
    return endpoint.int % SHARES
