"""A thread for the blocking calls of one Kafka client.

The client's own asyncio classes are not used (ADR 135): they hand each call to a pool of threads, wait for a full batch
where the first message is wanted, and cannot send headers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from mainstay.ports.broker import BrokerAway

_T = TypeVar("_T")

LOGGER = logging.getLogger("confluent_kafka")
"""Where the client writes what it notes; by itself it would write to standard error."""


def away(error: BaseException) -> BrokerAway:
    """Return the fault that a fault of the client is. Its texts hold no credentials."""
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return BrokerAway(f"Kafka: {text}")


class ClientThread:
    """Runs calls one after the other, off the loop."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{name}")

    def begin(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        """Run something; it goes on where the caller is cancelled."""
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def call(self, work: Callable[[], _T]) -> _T:
        """Return what something comes to. Raises ``BrokerAway``."""
        running = self.begin(work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_heard)
            raise
        except (KafkaException, RuntimeError) as error:  # the latter: the client is closed
            raise away(error) from error

    async def close(self) -> None:
        """End the thread once it is idle."""
        await asyncio.to_thread(self._executor.shutdown)


def _heard(future: asyncio.Future[_T]) -> None:
    """Look at what nobody waits for any more, so that its fault is not reported as missed."""
    if not future.cancelled():
        future.exception()
