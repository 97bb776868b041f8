"""The sending side: records in batches, each confirmed by all replicas in sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstay.adapters.kafka.thread import LOGGER
from mainstay.ports.broker import BrokerAway

_SLACK = 5.0  # seconds beyond a record's own term for its report to come
_SILENCE = "Kafka has not confirmed in time"


class Record:
    """One record to send."""

    __slots__ = ("headers", "key", "topic", "value")

    def __init__(self, topic: str, value: bytes, key: str, headers: Mapping[str, str]) -> None:
        self.topic = topic
        self.value = value
        self.key = key.encode() or None  # without a key it goes to any partition
        self.headers: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in headers.items()]


class RecordProducer:
    """Blocks: it is to be called in a thread, by one caller at a time.

    It is idempotent: what it sends again after a lost answer is not kept twice, and the records of a partition stay in
    order. With ``transactions`` each batch is one: readers that read what is committed see all of it or nothing.
    """

    def __init__(self, base: Mapping[str, Any], *, patience: float, max_bytes: int, transactions: bool) -> None:
        self._patience = patience
        self._transactions = transactions
        self._id = str(uuid4())  # a producer that is made anew ends what the one before has left open
        self._producer: Producer | None = None
        self._config: dict[str, Any] = {
            **base,
            "logger": LOGGER,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # a key's partition is the one that Java's clients choose
            "linger.ms": 0,
            "message.max.bytes": max_bytes,
            "message.timeout.ms": int(patience * 1000),
        }

    def send(self, records: Sequence[Record]) -> list[str | None]:
        """Send records in order; return for each why it is not kept, None where it is."""
        try:
            producer = self._producer or self._made()
            faults = self._batch(producer, records) if self._transactions else self._sent(producer, records)
        except KafkaException as error:
            self.close()
            return [_text(error.args[0])] * len(records)
        if any(fault is _SILENCE for fault in faults):
            self.close()  # what it still holds must not be sent behind what comes after
        return faults

    def _made(self) -> Producer:
        if not self._transactions:
            self._producer = Producer(self._config)
            return self._producer
        # After a kill nobody goes on under this id: what is left open the server ends after the term.
        term = int(self._patience * 1000) + 1000
        producer = Producer({**self._config, "transactional.id": self._id, "transaction.timeout.ms": term})
        producer.init_transactions(self._patience)
        self._producer = producer
        return producer

    def _batch(self, producer: Producer, records: Sequence[Record]) -> list[str | None]:
        producer.begin_transaction()
        faults = self._sent(producer, records)
        fault = next((fault for fault in faults if fault), None)
        if fault is None:
            producer.commit_transaction(self._patience)
            return faults
        producer.abort_transaction(self._patience)
        return [fault] * len(records)

    def _sent(self, producer: Producer, records: Sequence[Record]) -> list[str | None]:
        faults: list[str | None] = [_SILENCE] * len(records)

        def report(number: int, error: KafkaError | None, _: object) -> None:
            faults[number] = None if error is None else _text(error)

        for number, record in enumerate(records):
            self._put(producer, record, partial(report, number))
        producer.flush(self._patience + _SLACK)
        return faults

    def _put(self, producer: Producer, record: Record, report: Callable[[KafkaError | None, object], None]) -> None:
        try:
            producer.produce(record.topic, record.value, record.key, on_delivery=report, headers=record.headers)
        except KafkaException as error:  # this one: it is too large, or its topic is unknown
            report(error.args[0], None)
        except BufferError:
            report(KafkaError(KafkaError._QUEUE_FULL), None)

    def close(self) -> None:
        """Let the connections go, with what was not sent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.close()


def _text(error: KafkaError) -> str:
    return f"Kafka: {error.str()}"


def first_fault(faults: Sequence[str | None]) -> BrokerAway | None:
    """Return the fault of a batch of which nothing is kept."""
    return BrokerAway(faults[0]) if faults and all(faults) and faults[0] else None
