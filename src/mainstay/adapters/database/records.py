"""The rows of a broker on a database."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.ports.store import Table

MODULE = "mainstay"
MAX_NAME = 200

FREE = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a message is held that nobody holds: a moment before any clock's."""


class BrokerPlace(Entity):
    """A group is to be handed what is published to a topic. ``name`` is both of them."""

    name: str = field(unique=True, max_length=2 * MAX_NAME + 1)
    audience: str = field(index=True, max_length=MAX_NAME)  # the group, which is a word of SQL's
    topic: str = field(index=True, max_length=MAX_NAME)
    seen_at: datetime  # when a member was last there


class BrokerDelivery(Entity):
    """A message that one group is still to acknowledge, in order of the ids.

    Its version is one more than the number of times that it was handed out or given back.
    """

    audience: str = field(index=True, max_length=MAX_NAME)
    topic: str = field(max_length=MAX_NAME)
    event: UUID
    body: bytes
    held_until: datetime = field(default=FREE)
    holder: str = field(default="", max_length=40)
    cause: str | None = field(default=None)  # why it was refused, where it was


def tables() -> tuple[Table, ...]:
    """Return what the store is to be opened for."""
    named = ((BrokerPlace, "mainstay_broker_places"), (BrokerDelivery, "mainstay_broker_deliveries"))
    return tuple(Table(shape=shape_of(entity), name=name, module=MODULE) for entity, name in named)


def place_name(group: str, topic: str) -> str:
    """Return the name of a group's place at a topic."""
    return f"{group} {topic}"
