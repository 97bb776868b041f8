"""A broker on Redis Streams (6.2 and newer): a stream a topic, in which each group has its own place."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from mainstay.adapters.redis.connection import FAILURES, RedisPlace, answers_of, away, client_of
from mainstay.adapters.redis.member import RedisMember
from mainstay.adapters.redis.scripts import TIDY
from mainstay.adapters.redis.streams import Streams
from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Outgoing, Subscription
from mainstay.ports.clock import Clock
from mainstay.ports.confirmed import unbroken
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.portions import portions

IDLE_SECONDS = 15.0
"""After which what a member took and did not acknowledge is another's to take."""

TIDY_SECONDS = 30.0
MAX_BYTES = 16 << 20
_OLDEST = (6, 2)
_PORTION_COUNT = 500
_PORTION_BYTES = 8 << 20
_SILENT_MS = 3_600_000  # a member that has nothing and was not heard of for so long is gone


class RedisBroker(Broker):
    """Keeps messages in the memory of a Redis server, and on its disk as it is set up.

    ``prefix`` begins the names of all keys: services that hear each other have the same. What was not acknowledged for
    ``idle_seconds`` goes to another member. Streams are trimmed of what every group has acknowledged, of nothing else.
    """

    traits = BrokerTraits(durable=True, ordered=True, max_bytes=MAX_BYTES, keeps_refused=True)

    def __init__(
        self,
        place: RedisPlace,
        *,
        clock: Clock,
        observer: Observer,
        prefix: str = "mainstay",
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.client: Redis = client_of(place)
        self.clock: Clock = clock
        self.streams: Streams = Streams(prefix)
        self.idle_seconds: float = idle_seconds
        self._observer = observer
        self._published: set[str] = set()
        self._tidy_at = clock.monotonic() + TIDY_SECONDS

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - a stream is made by its first message
        """Connect, and tell of a server that may lose what it has confirmed. Raises ``BrokerAway``."""
        try:
            told: dict[str, Any] = await self.client.info()
            check_server(told)
            setup = await self._setup(told)
        except FAILURES as error:
            raise away(error) from error
        if setup.get("appendonly") == "no":
            self.traits = msgspec.structs.replace(self.traits, durable=False)
        weak = "; ".join(weaknesses(setup))
        if weak:
            notice = Notice("warning", "broker_may_lose_messages", f"Redis may lose messages: {weak}", {**setup})
            self._observer.observe(notice)

    async def _setup(self, told: dict[str, Any]) -> dict[str, str]:
        """Return the settings that say how long a message is kept; a hosted server may not show all of them."""
        try:
            found = await self.client.config_get("appendonly", "appendfsync", "maxmemory-policy")
        except (ResponseError, NoPermissionError):
            found = {"appendonly": "yes" if told.get("aof_enabled") else "no", "appendfsync": "unknown"}
            found["maxmemory-policy"] = told.get("maxmemory_policy", "unknown")
        return {str(name): str(value) for name, value in found.items()}

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        confirmed: list[UUID] = []
        failure: Exception | None = None
        for portion in portions(messages, count=_PORTION_COUNT, size=_PORTION_BYTES):
            try:
                answers = await self._add(portion)
            except FAILURES as error:
                failure = error
                break
            faults = [answer for answer in answers if isinstance(answer, Exception)]
            failure = faults[0] if faults else failure
            told = zip(portion, answers, strict=True)
            confirmed.extend(one.id for one, answer in told if not isinstance(answer, Exception))
        if failure is None or isinstance(failure, ResponseError):  # it answers: what it lacks may be room
            await self._tidy({message.topic for message in messages})
        if failure is not None and not confirmed:
            raise away(failure) from failure
        return unbroken(messages, confirmed)

    async def _add(self, messages: Sequence[Outgoing]) -> list[Any]:
        """Add messages in one transaction, for which an append-only file is written once."""
        pipeline = self.client.pipeline(transaction=True)
        for one in messages:
            pipeline.xadd(self.streams.of(one.topic), {"id": str(one.id), "body": one.body})
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _tidy(self, topics: Collection[str]) -> None:
        self._published.update(topics)
        if self.clock.monotonic() < self._tidy_at:
            return
        published, self._published = self._published, set()
        with contextlib.suppress(BrokerAway):  # the messages are kept: what else is kept matters another time
            await self.tidy(published)

    async def tidy(self, topics: Collection[str]) -> None:
        """Trim streams of what every group has acknowledged. Raises ``BrokerAway``."""
        self._tidy_at = self.clock.monotonic() + TIDY_SECONDS
        pipeline = self.client.pipeline(transaction=False)
        for topic in topics:
            pipeline.eval(TIDY, 1, self.streams.of(topic), str(_SILENT_MS))
        try:
            await answers_of(pipeline)
        except FAILURES as error:
            raise away(error) from error

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        member = RedisMember(self, group, topics)
        await member.join()
        return member

    async def close(self) -> None:
        await self.client.aclose()


def check_server(told: dict[str, Any]) -> None:
    """Raise ``BrokerAway`` for a server on which this cannot work."""
    version = str(told.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise BrokerAway(f"this server is Redis {version}: 6.2 or newer is needed")
    if told.get("cluster_enabled"):
        raise BrokerAway("this server is one of a Redis Cluster, whose nodes do not share streams: use one without")
    if told.get("role") == "slave":
        raise BrokerAway("this server is a replica, which takes no messages: name the primary")


def weaknesses(setup: dict[str, str]) -> Iterator[str]:
    """Give in words what of a server's settings may lose messages that were confirmed."""
    if setup.get("appendonly") != "yes":
        yield "they end with its process (set appendonly yes)"
    elif setup.get("appendfsync") != "always":
        yield "those of about the last second end with the power (set appendfsync always)"
    if setup.get("maxmemory-policy") != "noeviction":
        yield "whole streams may be taken away when memory is short (set maxmemory-policy noeviction)"
