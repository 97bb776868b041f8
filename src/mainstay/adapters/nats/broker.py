"""A broker on NATS JetStream (2.9 and newer): one stream for a family of services, a subject a topic."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from nats.js import JetStreamContext, api
from nats.js.errors import NoStreamResponseError

from mainstay.adapters.nats.connection import ANSWER_SECONDS, FAILURES, NatsConnection, NatsPlace, away
from mainstay.adapters.nats.member import NatsMember
from mainstay.adapters.nats.stream import Names, ensure_streams
from mainstay.ports.broker import Broker, BrokerTraits, Outgoing, Subscription
from mainstay.ports.clock import Clock
from mainstay.ports.confirmed import unbroken
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.portions import portions

ACK_SECONDS = 15.0
"""After which what a member took and did not acknowledge is handed to another."""

_HEAD_BYTES = 4096  # of what a server takes at once, for what stands before a body
_PORTION_COUNT = 500
_PORTION_BYTES = 4 << 20


class NatsBroker(Broker):
    """Keeps messages in a stream on disk, each until every group with its topic has acknowledged it.

    ``prefix`` begins all names: services that hear each other have the same. ``replicas`` are the servers of a cluster
    that keep each message, where the stream is made here.
    """

    traits = BrokerTraits(durable=True, ordered=True, max_bytes=(1 << 20) - _HEAD_BYTES, keeps_refused=True)

    def __init__(
        self,
        place: NatsPlace,
        *,
        clock: Clock,
        observer: Observer,
        prefix: str = "mainstay",
        replicas: int = 1,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.connection: NatsConnection = NatsConnection(place, observer, self._changed)
        self.clock: Clock = clock
        self.names: Names = Names(prefix)
        self.ack_seconds: float = ack_seconds
        self.members: set[NatsMember] = set()
        self._observer = observer
        self._replicas = replicas
        self._context: JetStreamContext | None = None
        self._awaited: set[asyncio.Future[Any]] = set()

    @property
    def context(self) -> JetStreamContext:
        """What speaks to JetStream. Raises ``BrokerAway`` where it was not reached yet."""
        if self._context is None:
            raise away(None)
        return self._context

    def _changed(self) -> None:
        """Wait no more for answers that a connection was to bring which is gone."""
        for future in tuple(self._awaited):
            future.cancel()
        for member in tuple(self.members):
            member.forget()

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - the stream has all subjects
        """Connect, make the stream where it is not there, and tell of one that may lose what it has confirmed."""
        await self.connection.open()
        client = self.connection.check()
        self._context = client.jetstream(timeout=ANSWER_SECONDS)
        config = await self.prepare()
        durable = config.storage == api.StorageType.FILE
        self.traits = BrokerTraits(
            durable=durable,
            ordered=True,
            max_bytes=client.max_payload - _HEAD_BYTES,
            keeps_refused=True,
        )
        weak = "; ".join(weaknesses(config))
        if weak:
            notice = Notice(
                "warning", "broker_may_lose_messages", f"the stream {config.name} may lose messages: {weak}"
            )
            self._observer.observe(notice)

    async def prepare(self) -> api.StreamConfig:
        """Make the streams that are not there. Raises ``BrokerAway``."""
        try:
            return await ensure_streams(self.context, self.names, self._replicas)
        except FAILURES as error:
            raise away(error) from error

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        confirmed: list[UUID] = []
        failure: BaseException | None = None
        await self.connection.ready()
        for portion in portions(messages, count=_PORTION_COUNT, size=_PORTION_BYTES):
            outcomes = list(zip(portion, await self._send(portion), strict=True))
            confirmed.extend(one.id for one, fault in outcomes if fault is None)
            failure = next((fault for _, fault in outcomes if fault is not None), failure)
            if not self.connection.connected:
                break
        if isinstance(failure, NoStreamResponseError):
            await self.prepare()
        if failure is not None and not confirmed:
            raise away(failure) from failure
        return unbroken(messages, confirmed)

    async def _send(self, messages: Sequence[Outgoing]) -> list[BaseException | None]:
        """Publish messages, and return what became of each: None where the server keeps it."""
        futures = [await self._begin(message) for message in messages]
        try:
            await asyncio.wait(futures, timeout=ANSWER_SECONDS)
        finally:
            for future in futures:
                future.cancel()
        return [_failure(future) for future in futures]

    async def _begin(self, message: Outgoing) -> asyncio.Future[Any]:
        """Send a message. Returns what its confirmation will be, or why it was not even sent."""
        headers = {api.Header.MSG_ID.value: str(message.id)}
        future: asyncio.Future[Any]
        try:
            future = await self.context.publish_async(self.names.subject(message.topic), message.body, headers=headers)
        except FAILURES as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        self._awaited.add(future)
        future.add_done_callback(self._awaited.discard)
        return future

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        member = NatsMember(self, group, topics)
        await member.join()
        return member

    async def close(self) -> None:
        await self.connection.close()


def _failure(future: asyncio.Future[Any]) -> BaseException | None:
    """Return why a message was not confirmed, or None."""
    if future.cancelled() or not future.done():
        return TimeoutError("no answer came")
    return future.exception()


def weaknesses(config: api.StreamConfig) -> Iterator[str]:
    """Give in words what of a stream's set-up may lose messages that were confirmed."""
    if config.storage != api.StorageType.FILE:
        yield "it is kept in memory (make it with file storage)"
    bounds = (config.max_msgs, config.max_bytes, config.max_age)
    if config.discard != api.DiscardPolicy.NEW and any(bound and bound > 0 for bound in bounds):
        yield "what is too much or too old is taken away, acknowledged or not (set discard to new, and no max_age)"
