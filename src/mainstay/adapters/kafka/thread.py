"""A thread for the blocking calls of one Kafka client.

The client's own asyncio classes are not used (ADR 135): they hand each call to a pool of threads, wait for a full batch
where the first message is wanted, and cannot send headers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

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
    """Runs calls one after the other, off the loop. It starts with the first, and again with the first after its end.

    Some calls of the client end only when the server is back, closing a consumer among them. So the thread is a daemon:
    the process ends without it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: _Running | None = None

    def put(self, call: Callable[[], bool]) -> None:
        """Run something that raises nothing, again and again while it returns True: each time behind what waits."""
        if self._running is None:
            self._running = _Running(self._name)
        self._running.calls.put(call)

    def begin(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        """Run something. It is run whatever becomes of who waits for it."""
        future: Future[_T] = Future()

        def call() -> bool:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            return False

        future.set_running_or_notify_cancel()
        self.put(call)
        return asyncio.wrap_future(future)

    async def call(self, work: Callable[[], _T]) -> _T:
        """Return what something comes to. Raises ``BrokerAway``."""
        running = self.begin(work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(heard)
            raise
        except (KafkaException, RuntimeError) as error:  # the latter: the client is closed
            raise away(error) from error

    async def close(self, last: Callable[[], Any], seconds: float) -> None:
        """Do one last thing and end, where there is a thread. What has not ended in time is left to itself."""
        running = self._running
        if running is not None:
            self.begin(last).add_done_callback(heard)  # the caller has no use for its fault
            self._running = None
            await running.end(seconds)


class _Running:
    """The thread itself, from its start to its end."""

    def __init__(self, name: str) -> None:
        self.calls: SimpleQueue[Callable[[], bool] | None] = SimpleQueue()
        self._ended: Future[None] = Future()
        self._thread = Thread(target=self._run, name=f"kafka-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while call := self.calls.get():
            if call():
                self.calls.put(call)
        self._ended.set_result(None)

    async def end(self, seconds: float) -> None:
        """End once the calls before are done."""
        self.calls.put(None)
        ended, _ = await asyncio.wait({asyncio.wrap_future(self._ended)}, timeout=seconds)
        if ended:
            self._thread.join()


def heard(future: asyncio.Future[Any]) -> None:
    """Look at what nobody waits for any more, so that its fault is not reported as missed."""
    if not future.cancelled():
        future.exception()
