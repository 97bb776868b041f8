"""A member of a group: it polls the group's queue, and deletes there what was acknowledged."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mainstay.adapters.sqs.sources import Sources
from mainstay.adapters.sqs.wire import BATCH, asking, incoming_of, topic_of
from mainstay.ports.broker import BrokerAway, Incoming, Subscription

VISIBILITY = 60
"""Seconds until what was taken, and neither acknowledged nor given back, goes to another member."""

LONGEST_POLL = 20
"""Seconds that SQS keeps a request waiting at most."""

_CAUSE = 1000  # characters of it that are kept


class SqsSubscription(Subscription):
    """One poller of a queue, ``dead`` being the queue of what is refused; both are named by their URL.

    A poll outlives the ``take`` that began it: what it brings to nobody would be hidden from everybody for a minute.
    """

    def __init__(self, client: Any, queue: str, dead: str, sources: Sources) -> None:
        self._client = client
        self._queue = queue
        self._dead = dead
        self._sources = sources
        self._poll: asyncio.Task[list[dict[str, Any]]] | None = None
        self._waiting: deque[tuple[float, dict[str, Any]]] = deque()  # polled and not taken, each until it is lost
        self._taken: dict[str, dict[str, Any]] = {}  # by receipt handle

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        found = self._at_hand(limit)
        if not found:
            await self._sources.look()
            await self._polled(wait)
            found = self._at_hand(limit)
        while 0 < len(found) < limit and len(found) % BATCH == 0:  # the poll was full: there may be more
            await self._polled(1.0, at_once=True)
            more = self._at_hand(limit - len(found))
            if not more:
                break
            found += more
        return [incoming_of(message) for message in found]

    def _at_hand(self, limit: int) -> list[dict[str, Any]]:
        now = time.monotonic()
        found: list[dict[str, Any]] = []
        while self._waiting and len(found) < limit:
            until, message = self._waiting.popleft()
            if now < until:
                found.append(message)
                self._taken[message["ReceiptHandle"]] = message
        return found

    async def _polled(self, wait: float, *, at_once: bool = False) -> None:
        """Wait for a poll that is under way or begins now, ``wait`` seconds at most. Raises ``BrokerAway``."""
        poll = self._poll
        if poll is None:
            seconds = 0 if at_once else max(1, min(LONGEST_POLL, math.ceil(wait)))
            poll = self._poll = asyncio.ensure_future(self._receive(seconds))
        await asyncio.wait({poll}, timeout=wait)
        if poll.done() and self._poll is poll:
            self._poll = None
            poll.result()

    async def _receive(self, seconds: int) -> list[dict[str, Any]]:
        """Poll once, and put what came where ``take`` finds it."""
        until = time.monotonic() + VISIBILITY / 2
        async with asking("sqs:ReceiveMessage"):
            answer = await self._client.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=seconds,
                VisibilityTimeout=VISIBILITY,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        # What another version of the service asks for, or did, is left to it: it is visible again after its time.
        ours = [message for message in messages if topic_of(message) in self._sources.topics]
        self._waiting.extend((until + seconds, message) for message in ours)
        return messages

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        handles = [one.handle["ReceiptHandle"] for one in taken]
        async with asking("sqs:DeleteMessageBatch"):
            answers = await asyncio.gather(
                *(self._client.delete_message_batch(QueueUrl=self._queue, Entries=batch) for batch in _entries(handles))
            )
        for handle in handles:
            self._taken.pop(handle, None)
        failed = sum(len(answer.get("Failed", ())) for answer in answers)
        if failed:
            raise BrokerAway(f"sqs:DeleteMessageBatch: {failed} of {len(handles)} messages were not deleted")

    async def refuse(self, taken: Incoming, cause: str) -> None:
        message = taken.handle
        said = {"DataType": "String", "StringValue": cause[:_CAUSE] or "no cause was given"}
        attributes = {**message.get("MessageAttributes", {}), "cause": said}
        async with asking("sqs:SendMessage"):
            await self._client.send_message(
                QueueUrl=self._dead, MessageBody=message["Body"], MessageAttributes=attributes
            )
        await self.acknowledge((taken,))

    async def close(self) -> None:
        """Give back what was taken: it is visible to others at once. A poll under way is waited for."""
        if self._poll is not None:
            with suppress(BrokerAway):
                await self._poll
        handles = [*self._taken, *(message["ReceiptHandle"] for _, message in self._waiting)]
        self._taken.clear()
        self._waiting.clear()
        with suppress(BrokerAway):  # then they are visible again when their time is over
            async with asking("sqs:ChangeMessageVisibilityBatch"):
                for batch in _entries(handles):
                    entries = [{**entry, "VisibilityTimeout": 0} for entry in batch]
                    await self._client.change_message_visibility_batch(QueueUrl=self._queue, Entries=entries)


def _entries(handles: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Return the entries of batches for these receipt handles."""
    starts = range(0, len(handles), BATCH)
    return [
        [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles[start : start + BATCH])]
        for start in starts
    ]
