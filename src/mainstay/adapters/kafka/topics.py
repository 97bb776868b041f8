"""Topics: those that are missing are made."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mainstay.adapters.kafka.thread import LOGGER
from mainstay.ports.broker import BrokerAway

_OVERHEAD = 1 << 16  # of a record: its key, its headers, the batch around it
_STEP = 0.05
_DEFAULT = -1  # the server's own


class TopicShape(msgspec.Struct, frozen=True, kw_only=True):
    """How a topic is made. One that is there stays as it is."""

    partitions: int = _DEFAULT
    replication: int = _DEFAULT
    max_bytes: int


def make_topics(base: Mapping[str, Any], names: Collection[str], shape: TopicShape, patience: float) -> None:
    """See that topics are there; blocks. Raises ``KafkaException``, ``BrokerAway``."""
    client = AdminClient({**base, "logger": LOGGER})  # type: ignore[dict-item]
    missing = set(names) - set(client.list_topics(timeout=patience).topics)
    if not missing:
        return
    config = {"max.message.bytes": str(shape.max_bytes + _OVERHEAD)}
    wanted = [
        NewTopic(name, num_partitions=shape.partitions, replication_factor=shape.replication, config=config)
        for name in sorted(missing)
    ]
    for future in client.create_topics(wanted, request_timeout=patience).values():
        try:
            future.result(patience)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another was faster
                raise
    deadline = time.monotonic() + patience
    while not missing <= set(client.list_topics(timeout=patience).topics):
        if time.monotonic() > deadline:
            raise BrokerAway(f"Kafka has made topics that it does not show after {patience:g} s")
        time.sleep(_STEP)
