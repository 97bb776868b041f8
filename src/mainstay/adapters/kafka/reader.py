"""The reading side: what a member of a consumer group is handed, and how what it acknowledges gets on record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from mainstay.adapters.kafka.ledger import Ledgers, Partition, Place
from mainstay.adapters.kafka.thread import LOGGER
from mainstay.ports.broker import BrokerAway

_PROBE = 1.0  # seconds
_STEP = 0.1
_SILENT = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION, KafkaError._SSL})
_PASSING = frozenset({KafkaError._PARTITION_EOF, KafkaError._MAX_POLL_EXCEEDED})
_SETTLING = frozenset(  # what is answered for a moment after topics were made, or a server began
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_REBALANCE_SECONDS = 3.0
_FAREWELL = 2.0
_UNHEARD = 5.0  # seconds after which what was sent to the record without an answer is sent again
_GROUP: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",  # of partitions that were added, and of what retention has taken away
    "isolation.level": "read_committed",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 10_000,  # a member that is killed is followed after that
    "heartbeat.interval.ms": 1_000,  # and so is how soon a member hears that the group is shared anew
    "queued.max.messages.kbytes": 16_384,
}


class Reader:
    """Blocks: all of it is called in one thread, and so are its callbacks."""

    def __init__(
        self, base: Mapping[str, Any], group: str, topics: Sequence[str], patience: float, ledgers: Ledgers
    ) -> None:
        calls = {"logger": LOGGER, "error_cb": self._on_error, "on_commit": self._on_commit}
        self._consumer = Consumer({**base, **_GROUP, "group.id": group, **calls})
        self._topics = topics
        self._patience = patience
        self._ledgers = ledgers
        self._sent: Mapping[Partition, int] = {}  # offsets on their way to the record
        self._again = 0.0  # monotonic: what is on its way is waited for until then
        self._ends: dict[Partition, int] = {}
        self._assigned = False
        self._early: list[Message] = []
        self._silent = ""
        self.broken = False
        """Whether it has to be made anew."""

    def join(self) -> None:
        """Become a member. Raises ``KafkaException``, ``BrokerAway``.

        Of a topic that is new to the group, the group gets what is published from now on: its ends are noted before the
        group is joined, and are where the partitions without an offset on record begin. They are committed, so that
        they count for whoever comes next.
        """
        deadline = time.monotonic() + self._patience
        for topic in self._topics:
            self._settled(partial(self._note_ends, topic), deadline)
        self._consumer.subscribe(
            list(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        while not self._assigned:
            if time.monotonic() > deadline:
                raise BrokerAway(self._silent or f"Kafka has not let the group be joined within {self._patience:g} s")
            self._early += self._polled(1, _STEP)
        self._settle(_FAREWELL)

    @staticmethod
    def _settled(ask: Callable[[], None], deadline: float) -> None:
        """Ask until the server has settled."""
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                    raise
                time.sleep(_STEP)

    def _note_ends(self, topic: str) -> None:
        listed = self._consumer.list_topics(topic, timeout=self._patience).topics[topic]
        if listed.error is not None:
            raise KafkaException(listed.error)
        places = [TopicPartition(topic, number) for number in listed.partitions]
        if any(one.offset >= 0 for one in self._consumer.committed(places, timeout=self._patience)):
            return
        for place in places:
            _, end = self._consumer.get_watermark_offsets(place, timeout=self._patience) or (0, 0)
            self._ends[place.topic, place.partition] = end

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            found = consumer.committed(partitions, timeout=self._patience) if partitions else []
        except KafkaException:
            self.broken = True  # a member that holds nothing, and that the group counts
            raise
        self._assigned = True
        epoch = self._ledgers.next_epoch()
        begun = []
        for one in found:
            place = one.topic, one.partition
            offset = one.offset if one.offset >= 0 else self._ends.get(place, 0)
            self._ledgers.begin(place, offset, on_record=one.offset >= 0, epoch=epoch)
            begun.append(_at(*place, offset))
        consumer.incremental_assign(begun)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(one.topic, one.partition) for one in partitions]
        deadline = time.monotonic() + _REBALANCE_SECONDS
        with suppress(KafkaException):  # what is not on record comes again, to another
            while self._settle(deadline - time.monotonic()) and not self._ledgers.give_up(places, though_due=False):
                """More was acknowledged just now."""
        self._ledgers.give_up(places, though_due=True)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._ledgers.give_up([(one.topic, one.partition) for one in partitions], though_due=True)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        self._sent = {}
        if error is None:
            self._ledgers.committed({(one.topic, one.partition): one.offset for one in partitions if not one.error})

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _SILENT:
            self._silent = f"Kafka: {error.str()}"

    def fetch(self, limit: int, wait: float) -> list[tuple[Place, bytes]]:
        """Return what is there, or the first to come in time. Raises ``KafkaException``, ``BrokerAway``."""
        messages = self._early or self._polled(limit, wait)
        self._early = []
        if not messages and self._silent:
            self._consumer.list_topics(timeout=_PROBE)  # it is away while this fails
            self._silent = ""
        places = ((self._taken(message), message.value() or b"") for message in messages)
        return [(place, body) for place, body in places if place is not None]

    def _polled(self, limit: int, wait: float) -> list[Message]:
        first = self._consumer.poll(wait)
        rest = self._consumer.consume(limit - 1, 0) if first is not None and limit > 1 else []
        messages = [] if first is None else [first, *rest]
        for message in messages:
            error = message.error()
            if error is not None and error.code() not in _PASSING:
                self.broken = self.broken or error.fatal()
                raise KafkaException(error)
        return [message for message in messages if message.error() is None]

    def _taken(self, message: Message) -> Place | None:
        return self._ledgers.take(message.topic() or "", message.partition() or 0, message.offset() or 0)

    def record(self) -> None:
        """Have what is due put on record, and wait for nothing: it is told while messages are waited for."""
        due = self._ledgers.due
        if due and not (self._sent and time.monotonic() < self._again):
            self._send(due)

    def _send(self, due: Mapping[Partition, int]) -> None:
        self._sent, self._again = due, time.monotonic() + _UNHEARD
        self._consumer.commit(offsets=[_at(*place, offset) for place, offset in due.items()], asynchronous=True)

    def _settle(self, seconds: float) -> bool:
        """Wait until all is on record; return whether it is. Raises ``KafkaException`` where that cannot be seen.

        A commit that is waited for has no bound in time, so what is on record is looked at instead.
        """
        deadline = time.monotonic() + seconds
        while due := self._ledgers.due:
            if time.monotonic() > deadline:
                return False
            self._send(due)
            places = [_at(*place, offset) for place, offset in due.items()]
            found = self._consumer.committed(places, timeout=max(deadline - time.monotonic(), _STEP))
            self._ledgers.committed({(one.topic, one.partition): one.offset for one in found if one.offset >= 0})
            if self._ledgers.due:  # as in the midst of a rebalance
                time.sleep(_STEP)
        return True

    def close(self) -> None:
        """Leave the group. What cannot be put on record comes again, to whoever has the partition then."""
        with suppress(KafkaException):
            self._settle(_FAREWELL)
        self._ledgers.clear()
        self._consumer.close()


def _at(topic: str, partition: int, offset: int) -> TopicPartition:
    return TopicPartition(topic, partition, offset)
