"""The broker on SNS and SQS does what every broker must, on the server that MAINSTAY_TEST_SQS names.

That one holds all in memory: what is shown is that messages are handed out again, and not that they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from aiobotocore.session import get_session
from tests.conformance.servers import server

from mainstay.adapters.sqs import broker as sqs_broker
from mainstay.adapters.sqs import sources as sqs_sources
from mainstay.adapters.sqs import subscription as sqs_subscription
from mainstay.adapters.sqs.broker import SqsBroker
from mainstay.ports.broker import Broker, BrokerAway
from mainstay.testing.conformance import broker as broker_suite
from mainstay.testing.conformance.broker import (
    PAID,
    PLACED,
    TOPICS,
    BrokerConformance,
    bodies,
    nothing,
    outgoing,
    published,
    taken,
)

CREDENTIALS = ("test", "test")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for longer: the server is slow, and takes one request at a time."""
    monkeypatch.setattr(broker_suite, "PATIENCE", 180.0)


@pytest.fixture(scope="module", autouse=True)
def _descriptions() -> Iterator[None]:
    """Read the descriptions of the services once: it takes a second, and each test makes clients of its own."""
    session = get_session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs_broker, "get_session", lambda: session)
        yield


class TestSqsBroker(BrokerConformance):
    def make_broker(self) -> Broker:
        return self.made()

    def made(self) -> SqsBroker:
        return SqsBroker(f"{server('MAINSTAY_TEST_SQS')}&prefix={self.prefix}", credentials=CREDENTIALS, timeout=120.0)

    async def clear(self) -> None:
        broker = self.made()
        await broker.open(())
        for url in (await broker.sqs.list_queues(QueueNamePrefix=self.prefix)).get("QueueUrls", ()):
            await broker.sqs.delete_queue(QueueUrl=url)
        async for page in broker.sns.get_paginator("list_topics").paginate():
            for topic in page["Topics"]:
                if f":{self.prefix}" in topic["TopicArn"]:
                    await broker.sns.delete_topic(TopicArn=topic["TopicArn"])
        await broker.close()

    async def test_what_was_refused_is_kept_with_its_cause(self, broker: SqsBroker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, [outgoing(b"no event")])
        (found,) = await taken(member, 1)
        await member.refuse(found, "it is no CloudEvent")
        url = (await broker.sqs.get_queue_url(QueueName=f"{self.prefix}-billing-dead"))["QueueUrl"]
        told = await broker.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        (kept,) = told["Messages"]
        assert kept["Body"] == "no event"
        attributes = {name: one["StringValue"] for name, one in kept["MessageAttributes"].items()}
        assert attributes == {"topic": PLACED, "cause": "it is no CloudEvent"}
        await member.close()

    async def sources(self, broker: SqsBroker) -> set[str]:
        """Return the topics that the group's queue is subscribed to, by their last names."""
        url = (await broker.sqs.get_queue_url(QueueName=f"{self.prefix}-billing"))["QueueUrl"]
        told = (await broker.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
        statement = msgspec.json.decode(told["Policy"])["Statement"][0]
        assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
        redrive = msgspec.json.decode(told["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"].endswith("-billing-dead")
        assert int(told["MessageRetentionPeriod"]) == 14 * 24 * 3600
        return {arn.rpartition("-")[2] for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]}

    async def test_a_topic_that_nobody_asks_for_is_left_in_the_end(
        self, broker: SqsBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqs_sources, "LOOK_SECONDS", 0.0)
        old = await broker.subscribe("billing", TOPICS)
        new = await broker.subscribe("billing", (PAID,))
        await nothing(new)
        assert await self.sources(broker) == {"OrderPlaced", "OrderPaid"}
        await nothing(old)  # it still asks for both
        monkeypatch.setattr(sqs_sources, "LEAVE_SECONDS", -10)
        await old.take(1, 0.1)
        await new.take(1, 0.1)  # says that it may go
        await old.take(1, 0.1)  # says that it may not
        await new.take(1, 0.1)
        assert await self.sources(broker) == {"OrderPlaced", "OrderPaid"}
        await old.close()
        await new.take(1, 0.1)
        assert await self.sources(broker) == {"OrderPaid"}
        left = await broker.sns.list_subscriptions_by_topic(TopicArn=await broker._arn(PLACED))
        assert left["Subscriptions"] == []
        await new.close()

    async def test_what_another_version_asks_for_is_left_to_it(
        self, broker: SqsBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqs_subscription, "VISIBILITY", 1)
        old, new = await broker.subscribe("billing", (PAID,)), await broker.subscribe("billing", TOPICS)
        await published(broker, [outgoing(b"placed")])
        await nothing(old)
        assert await bodies(new, 1) == [b"placed"]
        await old.close()
        await new.close()

    async def test_how_often_a_message_was_handed_out_is_told(self, broker: SqsBroker) -> None:
        await (await broker.subscribe("billing", TOPICS)).close()
        await published(broker, [outgoing(b"x")])
        for times in (1, 2, 3):
            member = await broker.subscribe("billing", TOPICS)
            (found,) = await taken(member, 1)
            assert found.times == times
            await member.close()

    async def test_a_server_that_is_not_there_is_told_as_away(self) -> None:
        away = SqsBroker("sqs://eu-west-1?endpoint=http://127.0.0.1:1", credentials=CREDENTIALS, timeout=1.0)
        with pytest.raises(BrokerAway, match="CreateTopic"):
            await away.open(TOPICS)

    async def test_a_key_is_in_order_within_what_is_confirmed_where_a_message_fails(self, broker: SqsBroker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        real = broker.sns

        class Failing:
            """Fails the second message of the key that it is told to."""

            async def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: Any) -> Any:
                good = [one for one in PublishBatchRequestEntries if one["Message"] != "a1"]
                bad = [one for one in PublishBatchRequestEntries if one["Message"] == "a1"]
                answer = await real.publish_batch(TopicArn=TopicArn, PublishBatchRequestEntries=good)
                return {**answer, "Failed": [{"Id": one["Id"], "Code": "Throttled"} for one in bad]}

        broker.sns = Failing()
        batch = [outgoing(b"a%d" % n, key="a") for n in range(30)] + [outgoing(b"b%d" % n, key="b") for n in range(30)]
        done = set(await broker.publish(batch))
        broker.sns = real
        assert [one.body for one in batch if one.id in done] == [b"a0", *(b"b%d" % n for n in range(30))]
        # What stands behind it in its batch was kept all the same, and will be published again.
        found = {one.body for one in await taken(member, 39)}
        assert found == {b"a0", *(b"a%d" % n for n in range(2, 10)), *(b"b%d" % n for n in range(30))}
        await member.close()

    async def test_keys_that_are_in_several_topics_keep_their_order(self, broker: SqsBroker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        sent: list[tuple[str, list[str]]] = []
        real = broker.sns

        class Watched:
            async def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: Any) -> Any:
                sent.append((TopicArn, [one["Message"] for one in PublishBatchRequestEntries]))
                return await real.publish_batch(
                    TopicArn=TopicArn, PublishBatchRequestEntries=PublishBatchRequestEntries
                )

        broker.sns = Watched()
        await published(broker, [outgoing(b"%d" % n, (PLACED, PAID)[n % 2], key="a") for n in range(6)])
        broker.sns = real
        assert [texts for _, texts in sent] == [["0"], ["1"], ["2"], ["3"], ["4"], ["5"]]
        assert sorted(await bodies(member, 6)) == [b"%d" % n for n in range(6)]
        await nothing(member)
        await member.close()
