"""Messages through Kafka 2.4 and newer: each topic is a topic, and a key's messages are in one partition of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from uuid import UUID

from mainstay.adapters.kafka.member import KafkaSubscription
from mainstay.adapters.kafka.names import Names
from mainstay.adapters.kafka.producer import PlainProducer, Record, RecordProducer, first_fault, settings
from mainstay.adapters.kafka.thread import ClientThread
from mainstay.adapters.kafka.topics import TopicShape, make_topics
from mainstay.adapters.kafka.transactions import TransactionalProducer
from mainstay.ports.broker import Broker, BrokerTraits, Outgoing, Subscription
from mainstay.ports.confirmed import unbroken

MAX_BYTES = 1 << 20
"""What a server takes of itself, nearly; topics that are made here take as much as is asked for."""

PATIENCE = 15.0
_OVERHEAD = 1 << 14  # of a record beside its body: key and headers
_HEADERS: Mapping[str, str] = MappingProxyType({"content-type": "application/cloudevents+json"})
"""The structured mode of the Kafka binding of CloudEvents."""

_TIMING: Mapping[str, str | int] = MappingProxyType(
    {
        "client.id": "mainstay",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "socket.keepalive.enable": "true",
        "socket.nagle.disable": "true",  # what is sent waits for no acknowledgement of what was sent before
        "socket.timeout.ms": 10_000,
    }
)


class KafkaBroker(Broker):
    """``servers`` is ``host:port,host:port``, ``security`` the client's own settings of TLS and SASL.

    ``partitions`` and ``replication`` are those of topics that are missing; -1 leaves them to the server. ``patience``
    is how many seconds an answer may take. With ``transactions`` a batch is published as one.
    """

    def __init__(
        self,
        servers: str,
        *,
        security: Mapping[str, str] = MappingProxyType({}),
        prefix: str = "",
        partitions: int = -1,
        replication: int = -1,
        max_bytes: int = MAX_BYTES,
        transactions: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        # Of one topic, that is; between topics there is no order.
        self.traits = BrokerTraits(durable=True, ordered=True, max_bytes=max_bytes, keeps_refused=True)
        self._names = Names(prefix)
        self._base: Mapping[str, str | int] = {**_TIMING, "bootstrap.servers": servers, **security}
        self._shape = TopicShape(partitions=partitions, replication=replication, max_bytes=max_bytes)
        self._patience = patience
        self._topics = ClientThread("topics")
        made = TransactionalProducer if transactions else PlainProducer
        config = settings(self._base, patience, max_bytes + _OVERHEAD)
        self._producer: RecordProducer = made(ClientThread("producer"), config, patience)

    async def open(self, topics: Collection[str]) -> None:
        await self._make({self._names.of(topic): self._shape for topic in topics})

    async def _make(self, topics: Mapping[str, TopicShape]) -> None:
        for shape in set(topics.values()):
            names = [name for name, one in topics.items() if one == shape]
            await self._topics.call(partial(make_topics, self._base, names, shape, self._patience))

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        if not messages:
            return frozenset()
        records = [Record(self._names.of(one.topic), one.body, one.key, _HEADERS) for one in messages]
        faults = await self._send(records)
        return unbroken(messages, [one.id for one, fault in zip(messages, faults, strict=True) if fault is None])

    async def _send(self, records: Sequence[Record]) -> list[str | None]:
        faults = await self._producer.send(records)
        if fault := first_fault(faults):
            raise fault
        return faults

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        refused = TopicShape(partitions=1, replication=self._shape.replication, max_bytes=self._shape.max_bytes)
        shapes = {self._names.of(topic): self._shape for topic in topics} | {self._names.refused(group): refused}
        await self._make(shapes)
        member = KafkaSubscription(
            self._base, self._names, group, frozenset(topics), patience=self._patience, keep=self._keep
        )
        try:
            await member.join()
        except BaseException:
            await asyncio.shield(member.close())
            raise
        return member

    async def _keep(self, topic: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep what was refused. Raises ``BrokerAway``."""
        await self._send([Record(topic, body, "", headers)])

    async def close(self) -> None:
        await self._topics.close(_nothing, self._patience)
        await self._producer.close()


def _nothing() -> None:
    """Do nothing."""
