"""What webhooks tell the service itself."""

from __future__ import annotations

from uuid import UUID

from mainstay.model.structs import Event
from mainstay.webhooks.entities import DisabledReason


class EndpointDisabled(Event):
    """An endpoint is told nothing any more: its owner should hear why, by other means."""

    endpoint_id: UUID
    owner_id: UUID
    tenant: str | None = None
    description: str = ""
    reason: DisabledReason
