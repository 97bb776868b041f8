"""The kernel's own rows: they live in the service's database and commit with its transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.structs import EPOCH, Entity
from mainstay.model.values import UNASSIGNED


class OutboxMessage(Entity):
    """An event that was committed and is still to be handed on: to the inbox of its service, or to a broker."""

    event: str
    key: str | None = field(default=None)
    payload: str
    principal: str
    request_id: str = field(default="")
    traceparent: str | None = field(default=None)
    dataversion: int = field(default=1)
    sequence: int = field(default=0)  # among those of its kind and key, in microseconds; 0: it has no key
    previous: int = field(default=0)  # the sequence before it among them; 0: there is none
    place: int = field(default=0, index=True)


ASIDE = -1
"""The place of messages that the broker does not take: before all those that are looked for."""


class State(StrEnum):
    """What has become of a message at one consumer."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"  # given up, and kept
    DROPPED = "dropped"  # passed over: the consumer wants the latest only, or somebody has said so


class InboxMessage(Entity):
    """An event as one consumer has it.

    Its step from pending to done is committed with what the consumer changed. While it is pending it stands in one of
    two indexes: by ``place`` where it may run, by ``due_at`` where it is put off; parked messages stand in neither.
    """

    mark: str = field(unique=True)  # "consumer:message id"
    consumer: str = field(default="")
    message: UUID = field(default=UNASSIGNED)  # the event's id
    event: str = field(default="")
    source: str = field(default="")  # the service that emitted it
    key: str | None = field(default=None)
    payload: str = field(default="")
    principal: str = field(default="")
    request_id: str = field(default="")
    traceparent: str | None = field(default=None)
    dataversion: int = field(default=1)
    emitted_at: datetime = field(default=EPOCH)
    sequence: int = field(default=0)
    previous: int = field(default=0)
    step: str | None = field(default=None, index=True)  # its lane and its sequence, as one text in their order
    partition: int = field(default=0)
    state: State = field(default=State.DONE)  # that of the marks that were kept before there were states
    attempts: int = field(default=0)
    place: int | None = field(default=None, index=True)
    due_at: datetime | None = field(default=None, index=True)
    cause: str | None = field(default=None)  # the code of the problem that it met last
    detail: str | None = field(default=None)


UNSTORED = 0
"""The version of a message of the inbox that is in memory only: it is stored with its effect, or when that fails."""


class KeySequence(Entity):
    """The sequence that was given last for events of a kind and key. Its id is made of both: it is locked by that."""

    event: str
    key: str
    last: int = field(index=True)


class ConsumerState(Entity):
    """What is to be known of a consumer beside its messages: since when it is there, its row was made."""

    name: str = field(unique=True)
    paused: bool = field(default=False)
    floor: datetime = field(default=EPOCH)  # what it did with messages emitted before is not known any more


class IdempotencyRecord(Entity):
    """The reply of a command that carried a key: committed with what the command changed."""

    scope: str = field(unique=True)
    fingerprint: str
    reply: bytes
    expires_at: datetime = field(index=True)


class Lease(Entity):
    """Which replica does a piece of work now, and until when. Who takes it raises ``fence``."""

    name: str = field(unique=True)
    holder: str
    until: datetime
    fence: int = field(default=0)


RECORDS: tuple[tuple[type[Entity], str], ...] = (
    (OutboxMessage, "mainstay_outbox"),
    (InboxMessage, "mainstay_inbox"),
    (KeySequence, "mainstay_sequence"),
    (ConsumerState, "mainstay_consumer"),
    (IdempotencyRecord, "mainstay_idempotency"),
    (Lease, "mainstay_lease"),
)
"""The kernel's entities, each with the name of its table."""


SHOWN: Mapping[type[Entity], tuple[str, ...]] = MappingProxyType(
    {OutboxMessage: ("payload",), InboxMessage: ("payload",), IdempotencyRecord: ("fingerprint", "reply")}
)
"""Fields that may hold values of a team's rows, or a digest of a few that can be guessed."""

AUDIT = "mainstay_audit"
"""The table of the audit's entries, where an entity is audited."""


def mark_of(consumer: str, message: UUID) -> str:
    """Return the mark of a consumer on a message."""
    return f"{consumer}:{message}"
