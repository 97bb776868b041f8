"""The sending side: records, each confirmed by all replicas in sync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstay.adapters.kafka.thread import LOGGER, ClientThread, heard
from mainstay.ports.broker import BrokerAway

SLACK = 5.0
"""Seconds beyond a record's own term for its report to come."""

SILENCE = "Kafka has not confirmed in time"
_SLICE = 0.2  # seconds: how long a wait for reports keeps the thread from anything else


class Record:
    """One record to send."""

    __slots__ = ("headers", "key", "topic", "value")

    def __init__(self, topic: str, value: bytes, key: str, headers: Mapping[str, str]) -> None:
        self.topic = topic
        self.value = value
        self.key = key.encode() or None  # without a key it goes to any partition
        self.headers: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in headers.items()]


class RecordProducer(Protocol):
    """Sends records. Any number of calls may be under way."""

    async def send(self, records: Sequence[Record]) -> list[str | None]:
        """Send records in order; return for each why it is not kept, None where it is."""

    async def close(self) -> None:
        """Let the connections go, with what was not sent."""


def settings(base: Mapping[str, Any], patience: float, max_bytes: int) -> dict[str, Any]:
    """Return what a producer is made of.

    It is idempotent: what it sends again after a lost answer is not kept twice, and the records of a partition stay in
    order.
    """
    return {
        **base,
        "logger": LOGGER,
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # a key's partition is the one that Java's clients choose
        "linger.ms": 0,
        "message.max.bytes": max_bytes,
        "message.timeout.ms": int(patience * 1000),
    }


class Reports:
    """What has become of records that were sent together: it is told in any thread."""

    def __init__(self, count: int) -> None:
        self.faults: list[str | None] = [SILENCE] * count
        self.fatal = False  # whether the producer is of no more use
        self.complete: Future[None] = Future()
        self._left = count
        self._lock = Lock()
        self.complete.set_running_or_notify_cancel()  # what nobody waits for any more is reported all the same

    def report(self, number: int, error: KafkaError | None, _: object = None) -> None:
        """Note what has become of a record."""
        with self._lock:
            self._left -= 1
            self.faults[number] = None if error is None else text(error)
            self.fatal = self.fatal or (error is not None and error.code() == KafkaError._FATAL)
            if not self._left:
                self.complete.set_result(None)

    def end(self) -> None:
        """Have nobody wait for what does not come."""
        with self._lock:
            if self._left > 0:
                self._left = -1  # what comes now completes nothing
                self.complete.set_result(None)


class _Client:
    """One client, for as long as nothing is wrong with it: sent by in the loop, waited for in the thread."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._producer = Producer(dict(config))
        self._lock = Lock()
        self._open: list[Reports] = []
        self._looking = False
        self._ended = False

    def send(self, records: Sequence[Record], thread: ClientThread) -> Reports:
        """Hand records over, which takes no time, and have the thread wait for their reports."""
        reports = Reports(len(records))
        for number, record in enumerate(records):
            put(self._producer, record, partial(reports.report, number))
        with self._lock:
            self._open.append(reports)
            looking, self._looking = self._looking, True
        if not looking:
            thread.put(self._look)
        return reports

    def _look(self) -> bool:
        """Wait for reports for a moment; return whether there are more to come."""
        if self._ended:
            return False
        self._producer.poll(_SLICE)
        with self._lock:
            self._open = [reports for reports in self._open if not reports.complete.done()]
            self._looking = bool(self._open)
            return self._looking

    def end(self) -> None:
        """Let the connections go, with what was not sent. It is for the thread, and is done once."""
        self._ended = True
        close(self._producer)
        for reports in self._open:
            reports.end()


class PlainProducer:
    """Any number of calls are under way at once, and each returns as soon as its own records are confirmed."""

    def __init__(self, thread: ClientThread, config: Mapping[str, Any], patience: float) -> None:
        self._thread = thread
        self._config = config
        self._patience = patience
        self._client: _Client | None = None
        self._making = asyncio.Lock()

    async def send(self, records: Sequence[Record]) -> list[str | None]:
        """Send records in order; return for each why it is not kept, None where it is."""
        try:
            while (client := self._client) is None:
                await self._make()
        except BrokerAway as error:
            return [str(error)] * len(records)
        reports = client.send(records, self._thread)
        complete = asyncio.wrap_future(reports.complete)
        await asyncio.wait({complete}, timeout=self._patience + SLACK)
        if self._client is client and (reports.fatal or not complete.done()):
            self._client = None  # what it still holds must not be sent behind what comes after
            self._thread.begin(client.end).add_done_callback(heard)
        return list(reports.faults)

    async def _make(self) -> None:
        async with self._making:
            if self._client is None:
                self._client = await self._thread.call(partial(_Client, self._config))

    async def close(self) -> None:
        """Let the connections go, with what was not sent."""
        client, self._client = self._client, None
        if client is not None:
            await self._thread.close(client.end, self._patience)


def put(producer: Producer, record: Record, report: Callable[[KafkaError | None, object], None]) -> None:
    """Hand a record over, and have it reported what becomes of it."""
    try:
        producer.produce(record.topic, record.value, record.key, on_delivery=report, headers=record.headers)
    except KafkaException as error:  # this one: it is too large, or its topic is unknown
        report(error.args[0], None)
    except BufferError:
        report(KafkaError(KafkaError._QUEUE_FULL), None)


def close(producer: Producer) -> None:
    """Let a client's connections go, with what was not sent."""
    producer.purge()
    producer.close()


def text(error: KafkaError) -> str:
    """Return what is said of a fault."""
    return f"Kafka: {error.str()}"


def first_fault(faults: Sequence[str | None]) -> BrokerAway | None:
    """Return the fault of a batch of which nothing is kept."""
    return BrokerAway(faults[0]) if faults and all(faults) and faults[0] else None
