"""The sending side with transactions: each batch is one, and one comes after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaException, Producer

from mainstay.adapters.kafka.producer import SILENCE, SLACK, Record, Reports, close, put, text
from mainstay.adapters.kafka.thread import ClientThread


class TransactionalProducer:
    """Readers that read what is committed see all of a batch or nothing. All of it is done in the thread."""

    def __init__(self, thread: ClientThread, config: Mapping[str, Any], patience: float) -> None:
        self._thread = thread
        self._patience = patience
        # One that is made anew ends what the one before has left open. After a kill nobody goes on under this id: what
        # is left open the server ends after the term.
        term = int(patience * 1000) + 1000
        self._config = {**config, "transactional.id": str(uuid4()), "transaction.timeout.ms": term}
        self._producer: Producer | None = None

    async def send(self, records: Sequence[Record]) -> list[str | None]:
        """Send records in order; return for each why it is not kept, None where it is."""
        return await self._thread.call(partial(self._send, records))

    def _send(self, records: Sequence[Record]) -> list[str | None]:
        try:
            faults = self._batch(self._producer or self._made(), records)
        except KafkaException as error:
            self._end()
            return [text(error.args[0])] * len(records)
        if any(fault is SILENCE for fault in faults):
            self._end()  # what it still holds must not be sent behind what comes after
        return faults

    def _made(self) -> Producer:
        producer = Producer(self._config)
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
        reports = Reports(len(records))
        for number, record in enumerate(records):
            put(producer, record, partial(reports.report, number))
        producer.flush(self._patience + SLACK)
        return list(reports.faults)

    async def close(self) -> None:
        """Let the connections go, with what was not sent."""
        await self._thread.close(self._end, self._patience)

    def _end(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            close(producer)
