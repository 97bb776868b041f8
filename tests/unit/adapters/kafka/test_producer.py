"""Calls at once each return with what became of their own records, and a client that fails is followed by another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import KafkaError, KafkaException

from mainstay.adapters.kafka import producer as module
from mainstay.adapters.kafka.producer import SILENCE, PlainProducer, Record, Reports
from mainstay.adapters.kafka.thread import ClientThread

Report = Callable[[KafkaError | None, object], None]
FATAL = KafkaError(KafkaError._FATAL)


class Client:
    """A client that reports what a test says: a record's value is the fault that it has, or none, or silence."""

    made: list[Client]

    def __init__(self, _: object) -> None:
        self.reports: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.held: dict[bytes, Report] = {}
        self.closed = threading.Event()
        self.made.append(self)

    def produce(self, _topic: str, value: bytes, _key: object, *, on_delivery: Report, **_: Any) -> None:
        if value == b"refused":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        if value == b"full":
            raise BufferError
        self.held[value] = on_delivery

    def tell(self, value: bytes, error: KafkaError | None = None) -> None:
        """Have a record reported."""
        report = self.held.pop(value)
        self.reports.put(lambda: report(error, None))

    def poll(self, seconds: float) -> None:
        with suppress(Empty):
            self.reports.get(timeout=seconds)()

    def purge(self) -> None:
        """Forget what was not sent."""

    def close(self) -> None:
        self.closed.set()


@pytest_asyncio.fixture
async def sender(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PlainProducer]:
    Client.made = []
    monkeypatch.setattr(module, "Producer", Client)
    monkeypatch.setattr(module, "SLACK", 0.2)
    made = PlainProducer(ClientThread("test"), {}, 0.3)
    yield made
    await made.close()
    assert all(each.closed.is_set() for each in Client.made)


def records(*values: bytes) -> list[Record]:
    return [Record("orders", value, "", {}) for value in values]


async def begun(sender: PlainProducer, *values: bytes) -> asyncio.Task[list[str | None]]:
    """Send, and return once the records are with the client."""
    sending = asyncio.ensure_future(sender.send(records(*values)))
    while not Client.made or not Client.made[-1].held.keys() >= set(values) - {b"refused", b"full"}:
        await asyncio.sleep(0.001)
    return sending


async def test_a_call_waits_for_its_own_records_only(sender: PlainProducer) -> None:
    one, two = await begun(sender, b"a", b"b"), await begun(sender, b"c")
    (client,) = Client.made
    client.tell(b"c")
    assert await two == [None]
    client.tell(b"b")
    client.tell(b"a", KafkaError(KafkaError._MSG_TIMED_OUT))
    faults = await one
    assert (str(faults[0]).startswith("Kafka: "), faults[1]) == (True, None)


async def test_what_the_client_does_not_take_has_its_fault(sender: PlainProducer) -> None:
    faults = await sender.send(records(b"refused", b"full"))
    assert all(fault and fault.startswith("Kafka: ") for fault in faults)


async def test_after_silence_a_client_is_followed_by_another(sender: PlainProducer) -> None:
    faults = await (await begun(sender, b"a"))
    assert faults == [SILENCE]
    sending = await begun(sender, b"b")
    assert len(Client.made) == 2
    assert Client.made[0].closed.wait(5)
    Client.made[1].tell(b"b")
    assert await sending == [None]


async def test_what_else_is_under_way_when_a_client_is_let_go_is_not_waited_for(sender: PlainProducer) -> None:
    one, two = await begun(sender, b"a"), await begun(sender, b"b")
    Client.made[0].tell(b"b", FATAL)
    assert str((await two)[0]).startswith("Kafka: ")
    assert await one == [SILENCE]
    sending = await begun(sender, b"c")
    Client.made[1].tell(b"c")
    assert await sending == [None]


async def test_a_call_that_is_cancelled_leaves_the_others(sender: PlainProducer) -> None:
    one, two = await begun(sender, b"a"), await begun(sender, b"b")
    one.cancel()
    Client.made[0].tell(b"a")
    Client.made[0].tell(b"b")
    assert await two == [None]


async def test_a_client_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG))

    monkeypatch.setattr(module, "Producer", refusing)
    made = PlainProducer(ClientThread("test"), {}, 0.3)
    faults = await made.send(records(b"a", b"b"))
    assert len(faults) == 2
    assert all(fault and fault.startswith("Kafka: ") for fault in faults)
    await made._thread.close(lambda: None, 1.0)


def test_reports_that_come_after_the_end_complete_nothing() -> None:
    reports = Reports(1)
    reports.end()
    reports.end()
    reports.report(0, None)
    assert (reports.complete.done(), reports.faults) == (True, [None])
