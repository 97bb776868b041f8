"""The streams of a family of services, and the consumers of its groups."""

from __future__ import annotations

import re

import msgspec
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

KEPT_SECONDS = 30 * 86_400.0
"""How long what was refused is kept."""

MAX_PENDING = 20_000
"""Messages of a topic that a group may have taken and not acknowledged, all members together."""

_DUPLICATE_SECONDS = 120.0
_PLAIN = re.compile(r"[^A-Za-z0-9_]")


class Names(msgspec.Struct, frozen=True):
    """What things are called in the server."""

    prefix: str

    @property
    def stream(self) -> str:
        """The stream of all topics."""
        return self.prefix

    @property
    def dead_stream(self) -> str:
        """The stream of what was refused."""
        return f"{self.prefix}-dead"

    def subject(self, topic: str) -> str:
        """Return the subject of a topic."""
        return f"{self.prefix}.event.{topic}"

    def dead(self, group: str) -> str:
        """Return the subject of what a group has refused."""
        return f"{self.prefix}.dead.{_plain(group)}"

    def group(self, group: str) -> str:
        """Return what the consumers of a group begin with."""
        return f"{_plain(group)}--"

    def consumer(self, group: str, topic: str) -> str:
        """Return the consumer of a group for a topic."""
        return f"{self.group(group)}{_plain(topic)}"


def _plain(name: str) -> str:
    """Return a name without what the server takes for signs, another one for each name."""
    return _PLAIN.sub(lambda sign: "-" if sign[0] == "." else f"-{ord(sign[0]):x}-", name)


async def ensure_streams(context: JetStreamContext, names: Names, replicas: int) -> api.StreamConfig:
    """Make the streams that are not there. Returns how the stream of the topics is set up.

    Who operates the server may have made them otherwise (more replicas, a bound): they are left as they are.
    """
    wanted = api.StreamConfig(
        name=names.stream,
        subjects=[f"{names.prefix}.event.>"],
        retention=api.RetentionPolicy.INTEREST,
        discard=api.DiscardPolicy.NEW,  # where a bound is reached, what was confirmed stays
        storage=api.StorageType.FILE,
        duplicate_window=_DUPLICATE_SECONDS,
        num_replicas=replicas,
    )
    dead = api.StreamConfig(
        name=names.dead_stream,
        subjects=[f"{names.prefix}.dead.>"],
        retention=api.RetentionPolicy.LIMITS,
        max_age=KEPT_SECONDS,
        storage=api.StorageType.FILE,
        num_replicas=replicas,
    )
    await _ensure(context, dead)
    return await _ensure(context, wanted)


async def _ensure(context: JetStreamContext, wanted: api.StreamConfig) -> api.StreamConfig:
    try:
        return (await context.stream_info(wanted.name or "")).config
    except NotFoundError:
        return (await context.add_stream(wanted)).config


async def ensure_consumer(
    context: JetStreamContext, names: Names, group: str, topic: str, *, ack_seconds: float, anew: bool
) -> None:
    """Make the consumer of a group for a topic where it is not there.

    It is handed what comes from now on; ``anew`` all that there is, for one that was lost with what it had to hand out.
    """
    name = names.consumer(group, topic)
    try:
        await context.consumer_info(names.stream, name)
    except NotFoundError:
        wanted = api.ConsumerConfig(
            durable_name=name,
            deliver_policy=api.DeliverPolicy.ALL if anew else api.DeliverPolicy.NEW,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ack_seconds,
            max_deliver=-1,
            max_ack_pending=MAX_PENDING,
            filter_subject=names.subject(topic),
        )
        await context.add_consumer(names.stream, wanted)


async def left_consumers(context: JetStreamContext, names: Names, group: str, kept: set[str]) -> list[str]:
    """Return the consumers of a group beside the kept ones that no member waits for."""
    found: list[str] = []
    offset = 0
    while page := await context.consumers_info(names.stream, offset=offset):
        offset += len(page)
        mine = [one for one in page if one.name.startswith(names.group(group)) and one.name not in kept]
        found.extend(one.name for one in mine if not one.num_waiting)
    return found
