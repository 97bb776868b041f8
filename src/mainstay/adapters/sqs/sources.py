"""Where a group's queue gets its messages from: the topics that it is subscribed to, and those that it leaves."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from mainstay.adapters.sqs.wire import asking, policy_for, topics_of

LOOK_SECONDS = 60.0
"""Between looks at what is to be left."""

LEAVE_SECONDS = 600
"""After which a topic is left that no member has asked for: a version that does may be rolled back to."""

_ASKED = "left-"


class Sources:
    """The topics of one queue. ``named`` are those that this member asks for: by ARN, their full names; ``redrive`` is
    when the queue puts a message aside, where it says nothing of that yet.

    The policy of the queue lists what it is subscribed to. A topic of it that a member does not ask for gets a tag with
    the time; members that do ask for it take the tag away. Who finds one that has stood for long has the queue leave
    the topic.
    """

    def __init__(self, sns: Any, sqs: Any, queue: str, arn: str, named: Mapping[str, str], redrive: str) -> None:
        self._sns = sns
        self._sqs = sqs
        self._queue = queue
        self._arn = arn
        self._named = named
        self._redrive = redrive
        self._next = 0.0
        self.topics: frozenset[str] = frozenset(named.values())

    async def join(self) -> None:
        """Subscribe the queue to what is asked for. Raises ``BrokerAway``."""
        before = await self._subscribed()
        await self._allow({*before, *self._named})
        async with asking("sns:Subscribe"):
            for topic in self._named:
                await self._sns.subscribe(
                    TopicArn=topic,
                    Protocol="sqs",
                    Endpoint=self._arn,
                    Attributes={"RawMessageDelivery": "true"},
                    ReturnSubscriptionArn=True,
                )
        await self._look(before)

    async def look(self) -> None:
        """Leave what nobody asks for, now and then. Raises ``BrokerAway``."""
        if time.monotonic() >= self._next:
            await self._look(await self._subscribed())

    async def _look(self, subscribed: Collection[str]) -> None:
        self._next = time.monotonic() + LOOK_SECONDS
        async with asking("sqs:TagQueue"):
            told = await self._sqs.list_queue_tags(QueueUrl=self._queue)
            tags: dict[str, str] = told.get("Tags", {})
            mine = [tag for tag in map(_tag_of, self._named) if tag in tags]
            if mine:
                await self._sqs.untag_queue(QueueUrl=self._queue, TagKeys=mine)
            others = [topic for topic in subscribed if topic not in self._named]
            new = {_tag_of(topic): str(int(time.time())) for topic in others if _tag_of(topic) not in tags}
            if new:
                await self._sqs.tag_queue(QueueUrl=self._queue, Tags=new)
        bound = time.time() - LEAVE_SECONDS
        late = [topic for topic in others if _tag_of(topic) in tags and int(tags[_tag_of(topic)]) <= bound]
        if late:
            await self._leave(late, {*subscribed} - {*late})

    async def _leave(self, topics: Collection[str], kept: Collection[str]) -> None:
        """Have topics send nothing more to the queue. Where one is gone, so is what it sent."""
        async with asking("sns:Unsubscribe"):
            for topic in topics:
                with suppress(self._sns.exceptions.NotFoundException):
                    async for page in self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
                        for one in page["Subscriptions"]:
                            if one["Endpoint"] == self._arn:
                                await self._sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        await self._allow(kept)
        async with asking("sqs:UntagQueue"):
            await self._sqs.untag_queue(QueueUrl=self._queue, TagKeys=[_tag_of(topic) for topic in topics])

    async def _subscribed(self) -> list[str]:
        async with asking("sqs:GetQueueAttributes"):
            told = await self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["All"])
            attributes = told.get("Attributes", {})
            self._redrive = attributes.get("RedrivePolicy", self._redrive)
            return topics_of(attributes.get("Policy", ""))

    async def _allow(self, topics: Collection[str]) -> None:
        async with asking("sqs:SetQueueAttributes"):
            attributes = {"Policy": policy_for(self._arn, sorted(topics)), "RedrivePolicy": self._redrive}
            await self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes=attributes)


def _tag_of(topic: str) -> str:
    """Return the tag of a topic, by its name."""
    return _ASKED + topic.rpartition(":")[2]
