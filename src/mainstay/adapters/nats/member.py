"""A member of a group on NATS JetStream."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as Inbox
from nats.js import api
from nats.js.errors import NotFoundError

from mainstay.adapters.nats.connection import ANSWER_SECONDS, FAILURES, away
from mainstay.adapters.nats.stream import ensure_consumer, left_consumers
from mainstay.ports.broker import BrokerAway, Incoming, Subscription

if TYPE_CHECKING:
    from mainstay.adapters.nats.broker import NatsBroker

TIDY_SECONDS = 300.0
MAX_CAUSE = 500
_GRACE_SECONDS = 1.0  # beyond the end of a request, until it is taken for lost
_PAUSE_SECONDS = 0.5  # after a request that the server refused
_LEAST_SECONDS = 0.1


class _Asked(msgspec.Struct):
    """A request for messages of a topic: how many are still to come, and until when."""

    left: int = 0
    until: float = 0.0


class NatsMember(Subscription):
    """Asks the consumer of each topic for messages; they come to one inbox, whoever waits for them or not."""

    def __init__(self, broker: NatsBroker, group: str, topics: Collection[str]) -> None:
        self._broker = broker
        self._group = group
        self._topics = tuple(topics)
        self._asked = [_Asked() for _ in self._topics]
        self._index = {broker.names.subject(topic): index for index, topic in enumerate(self._topics)}
        self._ready: deque[Incoming] = deque()
        self._held: dict[tuple[str, int], Msg] = {}
        self._arrived = asyncio.Event()
        self._inbox: Inbox | None = None
        self._client: Client | None = None
        self._inbox_name = ""
        self._missing = False
        self._tidy_at = broker.clock.monotonic()

    async def join(self) -> None:
        """Have a consumer for each topic, and an inbox."""
        await self._ensure(anew=False)
        await self._listen()
        self._broker.members.add(self)

    async def _ensure(self, *, anew: bool) -> None:
        broker = self._broker
        try:
            for topic in self._topics:
                await ensure_consumer(
                    broker.context, broker.names, self._group, topic, ack_seconds=broker.ack_seconds, anew=anew
                )
        except FAILURES as error:
            raise away(error) from error

    async def _listen(self) -> None:
        client = self._client = self._broker.connection.check()
        self._inbox_name = client.new_inbox()
        try:
            self._inbox = await client.subscribe(
                f"{self._inbox_name}.*", cb=self._came, pending_msgs_limit=0, pending_bytes_limit=0
            )
        except FAILURES as error:
            raise away(error) from error

    def forget(self) -> None:
        """Take all requests for lost: the connection is gone, or is a new one."""
        for asked in self._asked:
            asked.until = 0.0
        self._arrived.set()

    async def _came(self, message: Msg) -> None:
        index = self._index.get(message.subject)
        if index is None:
            self._told(message)
        else:
            self._asked[index].left -= 1
            place = message.metadata
            handle = (message.subject, place.sequence.stream)
            self._held[handle] = message
            topic = self._topics[index]
            self._ready.append(Incoming(topic=topic, body=message.data, times=place.num_delivered, handle=handle))
        self._arrived.set()

    def _told(self, message: Msg) -> None:
        """Take a status in place of messages: the request is over."""
        _, _, index = message.subject.rpartition(".")
        status = (message.headers or {}).get(api.Header.STATUS.value, "")
        described = (message.headers or {}).get(api.Header.DESCRIPTION.value, "")
        if status == api.StatusCode.CONTROL_MESSAGE or not index.isdigit():
            return
        asked = self._asked[int(index)]
        asked.left = 0
        asked.until = 0.0
        if status in (api.StatusCode.NO_MESSAGES, api.StatusCode.REQUEST_TIMEOUT):
            return
        self._missing = self._missing or status == api.StatusCode.SERVICE_UNAVAILABLE or "Deleted" in described
        asked.left = 1
        asked.until = self._broker.clock.monotonic() + _PAUSE_SECONDS

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        clock = self._broker.clock
        deadline = clock.monotonic() + wait
        await self._keep_house()
        while not self._ready:
            self._arrived.clear()
            left = max(deadline - clock.monotonic(), _LEAST_SECONDS)
            await self._ask(limit, left)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _GRACE_SECONDS)):
                    await self._arrived.wait()
            if clock.monotonic() >= deadline:
                break
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    async def _ask(self, limit: int, wait: float) -> None:
        """Ask for messages of each topic of which none are asked for now. Raises ``BrokerAway``."""
        broker = self._broker
        client = await broker.connection.ready()
        if self._client is not client:
            await self._listen()
        now = broker.clock.monotonic()
        request = json.dumps({"batch": limit, "expires": int(wait * 1e9)}).encode()
        for index, (topic, asked) in enumerate(zip(self._topics, self._asked, strict=True)):
            if asked.left > 0 and asked.until > now:
                continue
            asked.left = limit
            asked.until = now + wait + _GRACE_SECONDS
            names = broker.names
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{names.stream}.{names.consumer(self._group, topic)}"
            try:
                await client.publish(subject, request, reply=f"{self._inbox_name}.{index}")
            except FAILURES as error:
                raise away(error) from error

    async def _keep_house(self) -> None:
        """Make consumers again that are gone, and take away those of topics that no member of the group asks for."""
        broker = self._broker
        await broker.connection.ready()
        now = broker.clock.monotonic()
        if self._missing:
            self._missing = False
            await broker.prepare()
            await self._ensure(anew=True)
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_SECONDS
        names = broker.names
        kept = {names.consumer(self._group, topic) for topic in self._topics}
        try:
            for name in await left_consumers(broker.context, names, self._group, kept):
                with suppress(NotFoundError):
                    await broker.context.delete_consumer(names.stream, name)
        except FAILURES as error:
            raise away(error) from error

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        await self._answer(taken, b"+ACK")

    async def _answer(self, taken: Sequence[Incoming], word: bytes) -> None:
        if not taken:
            return
        client = await self._broker.connection.ready()
        try:
            for one in taken:
                message = self._held.pop(one.handle, None)
                if message is not None:
                    await client.publish(message.reply, word)
        except FAILURES as error:
            raise away(error) from error
        await self._broker.connection.settle()

    async def refuse(self, taken: Incoming, cause: str) -> None:
        broker = self._broker
        await broker.connection.ready()
        headers: dict[str, Any] = {
            api.Header.MSG_ID.value: f"{self._group}:{taken.handle[1]}",
            "Mainstay-Topic": taken.topic,
            "Mainstay-Cause": cause[:MAX_CAUSE],
        }
        body = taken.body[: broker.traits.max_bytes]
        try:
            await broker.context.publish(broker.names.dead(self._group), body, timeout=ANSWER_SECONDS, headers=headers)
        except FAILURES as error:
            raise away(error) from error
        await self._answer((taken,), b"+TERM")

    async def close(self) -> None:
        self._broker.members.discard(self)
        inbox, self._inbox = self._inbox, None
        try:
            if inbox is not None:
                await inbox.drain()  # type: ignore[no-untyped-call]  # what is on its way is given back as well
            client = self._broker.connection.check()
            for message in self._held.values():
                await client.publish(message.reply, b"-NAK")
            await self._broker.connection.settle()
        except (BrokerAway, *FAILURES):
            return  # the server hands them to another member once it has waited for long enough
        finally:
            self._held.clear()
            self._ready.clear()
