"""The kernel's own rows: they live in the service's database and commit with its transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.structs import Entity


class OutboxMessage(Entity):
    """An event that was committed and is still to be delivered to every consumer."""

    event: str
    key: str | None = field(default=None)
    payload: str
    principal: str
    request_id: str = field(default="")
    traceparent: str | None = field(default=None)
    attempts: int = field(default=0)
    due_at: datetime = field(index=True)
    dead: bool = field(default=False)
    cause: str | None = field(default=None)


class InboxMark(Entity):
    """A consumer has taken a message: committed with what the consumer changed."""

    mark: str = field(unique=True)  # "consumer:message id"


class IdempotencyRecord(Entity):
    """The reply of a command that carried a key: committed with what the command changed."""

    scope: str = field(unique=True)
    fingerprint: str
    reply: bytes
    expires_at: datetime = field(index=True)


class RelayLease(Entity):
    """Which replica delivers events now, and until when."""

    name: str = field(unique=True)
    holder: str
    until: datetime


RECORDS: tuple[tuple[type[Entity], str], ...] = (
    (OutboxMessage, "mainstay_outbox"),
    (InboxMark, "mainstay_inbox"),
    (IdempotencyRecord, "mainstay_idempotency"),
    (RelayLease, "mainstay_lease"),
)
"""The kernel's entities, each with the name of its table."""


SHOWN: Mapping[type[Entity], tuple[str, ...]] = MappingProxyType(
    {OutboxMessage: ("payload",), IdempotencyRecord: ("fingerprint", "reply")}
)
"""Fields that may hold values of a team's rows, or a digest of a few that can be guessed."""

AUDIT = "mainstay_audit"
"""The table of the audit's entries, where an entity is audited."""


def mark_of(consumer: str, message: UUID) -> str:
    """Return the mark of a consumer on a message."""
    return f"{consumer}:{message}"
