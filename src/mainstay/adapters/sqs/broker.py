"""A broker on Amazon SNS and SQS: a topic for each event, a queue for each group, and one for what was refused.

They are standard ones: of any throughput, in no certain order, at least once. The inbox sees to the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from mainstay.adapters.sqs.sources import Sources
from mainstay.adapters.sqs.subscription import SqsSubscription
from mainstay.adapters.sqs.wire import (
    ATTRIBUTES,
    BATCH,
    MAX_REQUEST,
    asking,
    entry_of,
    name_of,
    place_of,
    size_of,
)
from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Outgoing, Subscription

AT_ONCE = 8
"""Batches that are under way at once."""

MAX_RECEIVES = 1000
"""How often a message is handed out before SQS puts it aside by itself: a last net, as the inbox counts attempts."""

RETENTION = 14 * 24 * 3600
"""Seconds that a queue keeps a message: the most that there is."""


class SqsBroker(Broker):
    """Topics and queues of one region, made where they are missing. ``url`` is ``sqs://region``: see ``place_of``.

    The credentials are found as the AWS tools find them, unless they are given as a key id and its secret. ``timeout``
    is how many seconds an answer is waited for. Raises ``ValueError`` for a URL that is none.
    """

    traits = BrokerTraits(durable=True, ordered=False, max_bytes=MAX_REQUEST - ATTRIBUTES, keeps_refused=True)

    def __init__(self, url: str, *, credentials: tuple[str, str] | None = None, timeout: float = 10.0) -> None:
        self._place = place_of(url)
        self._credentials = credentials
        self._timeout = timeout
        self._stack = AsyncExitStack()
        self._topics: dict[str, str] = {}  # by name, their ARN
        self.sns: Any = None
        self.sqs: Any = None

    async def open(self, topics: Collection[str]) -> None:
        """Make the clients, and the topics that are missing. Raises ``BrokerAway``."""
        async with AsyncExitStack() as stack, asking("sqs"):
            self.sns = await stack.enter_async_context(self._client("sns"))
            self.sqs = await stack.enter_async_context(self._client("sqs"))
            self._stack = stack.pop_all()
        try:
            await asyncio.gather(*(self._arn(topic) for topic in topics))
        except BaseException:
            await self.close()
            raise

    def _client(self, service: str) -> Any:
        key, secret = self._credentials or (None, None)
        config = AioConfig(
            connect_timeout=self._timeout,
            read_timeout=self._timeout + 20,  # a long poll
            retries={"max_attempts": 2, "mode": "standard"},
            max_pool_connections=4 * AT_ONCE,
        )
        return get_session().create_client(
            service,
            region_name=self._place.region,
            endpoint_url=self._place.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=config,
        )

    async def _arn(self, topic: str) -> str:
        """Return the ARN of a topic, made where it is missing."""
        found = self._topics.get(topic)
        if found is None:
            async with asking("sns:CreateTopic"):
                answer = await self.sns.create_topic(Name=name_of(self._place.prefix, topic))
            found = self._topics[topic] = str(answer["TopicArn"])
        return found

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        left = [_Entry(message, entry_of(number, message)) for number, message in enumerate(messages)]
        done: set[UUID] = set()
        broken: set[str] = set()  # keys of which one message was not confirmed: none behind it is, either
        while left:
            batches, left = _round(left)
            sent = await asyncio.gather(*(self._send(one, done, broken) for one in batches), return_exceptions=True)
            faults = [fault for fault in sent if isinstance(fault, BaseException)]
            if any(not isinstance(fault, BrokerAway) for fault in faults) or (faults and not done):
                raise next((fault for fault in faults if not isinstance(fault, BrokerAway)), faults[0])
            if faults:
                break
            left = [one for one in left if one.message.key not in broken]
        return done

    async def _send(self, batch: _Batch, done: set[UUID], broken: set[str]) -> None:
        """Publish a batch, and note what was confirmed of it, and whose order it has broken."""
        topic = await self._arn(batch.topic)
        async with asking("sns:PublishBatch"):
            entries = [one.entry for one in batch.entries]
            answer = await self.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        failed = {entry["Id"] for entry in answer.get("Failed", ())}
        for one in batch.entries:
            key = one.message.key
            if one.entry["Id"] in failed:
                broken |= {key} - {""}
            elif key not in broken:
                done.add(one.message.id)

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        name = name_of(self._place.prefix, group)
        queue, arn = await self._queue(name)
        dead, dead_arn = await self._queue(f"{name}-dead")
        named = {await self._arn(topic): topic for topic in topics}
        redrive = msgspec.json.encode({"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES}).decode()
        sources = Sources(self.sns, self.sqs, queue, arn, named, redrive)
        await sources.join()
        return SqsSubscription(self.sqs, queue, dead, sources)

    async def _queue(self, name: str) -> tuple[str, str]:
        """Return the URL and the ARN of a queue, made where it is missing. One that is there is left as it is."""
        async with asking("sqs:CreateQueue"):
            try:
                url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
            except self.sqs.exceptions.QueueDoesNotExist:
                attributes = {"MessageRetentionPeriod": str(RETENTION)}
                url = (await self.sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
            told = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            return url, told["Attributes"]["QueueArn"]

    async def close(self) -> None:
        await self._stack.aclose()


class _Entry(NamedTuple):
    """A message, and what a batch has of it."""

    message: Outgoing
    entry: dict[str, Any]


class _Batch:
    """What goes in one request."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.entries: list[_Entry] = []
        self.size = 0

    def take(self, one: _Entry) -> bool:
        """Take a message, or say that there is no room."""
        size = size_of(one.entry)
        if self.entries and (len(self.entries) == BATCH or self.size + size > MAX_REQUEST):
            return False
        self.entries.append(one)
        self.size += size
        return True


def _round(entries: Sequence[_Entry]) -> tuple[list[_Batch], list[_Entry]]:
    """Return batches that may be under way at once, and the messages that are for later.

    All that a round has of one key is in one batch, in order: what has no room there waits, with all that follows it.
    """
    batches: list[_Batch] = []
    of_key: dict[str, _Batch | None] = {}  # None: it waits
    later: list[_Entry] = []
    for one in entries:
        message = one.message
        held = of_key.get(message.key) if message.key else None
        waits = message.key in of_key and (held is None or held.topic != message.topic)
        taken = None if waits else _put(one, [held] if held is not None else batches, batches)
        if message.key:
            of_key[message.key] = taken
        if taken is None:
            later.append(one)
    return batches, later


def _put(one: _Entry, among: Sequence[_Batch], batches: list[_Batch]) -> _Batch | None:
    """Put a message into one of ``among``, or where these are all that there are into a new one; None: no room."""
    for batch in among:
        if batch.topic == one.message.topic and batch.take(one):
            return batch
    if among is not batches or len(batches) == AT_ONCE:
        return None
    batches.append(_Batch(one.message.topic))
    batches[-1].take(one)
    return batches[-1]
