"""Streams on the wire: lines of JSON, or events that a browser listens to (HTML, section 9.2).

A stream that breaks says why in its last line (NDJSON) or its last event (``event: problem``), and then its connection
is cut: who only counts lines could take a part of it for all of it. A stream of events that ends ends with
``event: end``; one that the service has to end without that, because it leaves or because the time for it is over, is
closed in good order, and a browser comes back with ``Last-Event-ID``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgspec

from mainstay.inbound.http.encode import Answers, ReplyEncoder
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.parting import Parting
from mainstay.inbound.http.problems import document, status_of
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.streamed import Item
from mainstay.model.problem import DeadlineExceeded, Internal, Problem, Unavailable
from mainstay.ports.observer import Notice

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
STREAMS = (NDJSON, EVENTS)

_BEAT = b":\n\n"
_END = b"event: end\ndata: {}\n\n"
_UNBUFFERED = (("X-Accel-Buffering", "no"),)  # nginx gathers an answer unless it is told not to
_LEAVE_SHARE = 0.8  # of the time that a drain has: for lines to come to their end before they are cut


class Cut(ConnectionAbortedError):
    """A stream broke and has said so: nothing more is written, and its connection ends."""


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of streams, in seconds: of all of one, of a wait for its next item; the pause between heart-beats."""

    total: float
    idle: float
    beat: float
    retry: float
    leave: float

    @classmethod
    def of(cls, options: HttpOptions) -> Bounds:
        """Return those of a door."""
        return cls(
            options.stream_seconds,
            options.stream_idle_seconds,
            options.heartbeat_seconds,
            options.retry_seconds,
            options.drain_timeout * _LEAVE_SHARE,
        )


class Ended(Exception):
    """The service ends a stream, for a reason that is not in it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Framed(AsyncIterator[bytes]):
    """A stream as bytes, an item at a time: the next one is not made before the last one was taken."""

    def __init__(
        self, items: AsyncIterator[Item], bounds: Bounds, parting: Parting, broke: Callable[[Exception], bytes]
    ) -> None:
        self._items = items
        self._bounds = bounds
        self._broke = broke
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + bounds.total
        self._leaving = False
        self._cut = False
        self._over = False
        self._listening = parting.listen(self._leave)

    def _leave(self) -> None:
        """The service is about to go."""
        raise NotImplementedError

    async def _next(self) -> bytes:
        """Return the next bytes. Raises ``StopAsyncIteration`` at the end, and whatever went wrong."""
        raise NotImplementedError

    async def __anext__(self) -> bytes:
        """Return the next bytes. Raises ``Cut`` after those that said what went wrong."""
        if self._cut:
            raise Cut("the stream broke")
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._next()
        except StopAsyncIteration:
            await self.aclose()
            raise
        except Exception as error:
            self._cut = True
            await self.aclose()
            return self._broke(error)

    def _late(self, waited: float) -> Ended:
        """Return why a wait for the next item has ended."""
        if self._leaving:
            return Ended(Unavailable("the service is stopping", retry_after=1))
        if waited >= self._bounds.idle:
            return Ended(DeadlineExceeded(f"nothing came for {self._bounds.idle:g} s"))
        return Ended(DeadlineExceeded(f"a stream may take {self._bounds.total:g} s"))

    async def aclose(self) -> None:
        """End the stream where it is, and what it reads from."""
        self._over = True
        self._listening()
        closer = getattr(self._items, "aclose", None)
        if closer is not None:
            await closer()


class Lines(Framed):
    """NDJSON: one JSON text a line."""

    _timeout: asyncio.Timeout | None = None

    def _leave(self) -> None:
        self._leaving = True
        self._end = min(self._end, self._now() + self._bounds.leave)
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._end)

    async def _next(self) -> bytes:
        begun = self._now()
        try:
            async with asyncio.timeout_at(min(self._end, begun + self._bounds.idle)) as timeout:
                self._timeout = timeout
                item = await anext(self._items)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise self._late(self._now() - begun) from error
        finally:
            self._timeout = None
        return item.text + b"\n"


class Events(Framed):
    """Server-sent events, with a comment where nothing else has been sent for a while."""

    _pulling: asyncio.Task[Item] | None = None
    _since = 0.0  # when the present wait for an item began
    _gone: asyncio.Future[None] | None = None
    _ended = False

    def _leave(self) -> None:
        self._leaving = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def _next(self) -> bytes:
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
            return b"retry: %d\n\n" % (self._bounds.retry * 1000)
        if self._ended:
            raise StopAsyncIteration
        if self._pulling is None:
            self._pulling, self._since = asyncio.ensure_future(_pull(self._items)), self._now()
        bound = min(self._end, self._since + self._bounds.idle)
        if not self._leaving:
            await self._wait({self._pulling, self._gone}, min(bound, self._now() + self._bounds.beat))
        if self._pulling.done():
            return self._event(self._pulling)
        if self._leaving or self._now() >= bound:
            raise StopAsyncIteration  # in good order: who listens comes back, and says what it has
        return _BEAT

    async def _wait(self, watched: set[asyncio.Future[Any]], until: float) -> None:
        seconds = max(0.0, until - self._now())
        await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _event(self, pulled: asyncio.Task[Item]) -> bytes:
        self._pulling = None
        try:
            item = pulled.result()
        except StopAsyncIteration:
            self._ended = True
            return _END
        named = b"" if item.id is None else b"id: %b\n" % item.id.encode()
        return b"%bdata: %b\n\n" % (named, item.text)

    async def aclose(self) -> None:
        """End the stream where it is, and what it reads from."""
        pulling, self._pulling = self._pulling, None
        if pulling is not None:
            pulling.cancel()
            await asyncio.wait({pulling})
            if not pulling.cancelled():
                pulling.exception()  # nobody is left to be told
        await super().aclose()


async def _pull(items: AsyncIterator[Item]) -> Item:
    return await anext(items)


class StreamEncoder(ReplyEncoder):
    """Encodes the streams of one operation, in one of the two media types."""

    def __init__(self, answers: Answers, media: str, location: str | None, **more: Any) -> None:
        super().__init__(answers, media, location, **more)
        self._bounds = Bounds.of(answers.options)
        self._parting = answers.parting
        self._base = answers.options.problem_base
        self._framed: type[Framed] = Events if media == EVENTS else Lines

    def __call__(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        """Return the answer."""
        if reply.stream is None:
            return super().__call__(exchange, call, reply)
        framed = self._framed(reply.stream, self._bounds, self._parting, partial(self._told, call))
        headers = (*reply.headers, *_UNBUFFERED)
        return self._full(exchange, call, msgspec.structs.replace(reply, stream=framed, headers=headers))

    def _told(self, call: Call, error: Exception) -> bytes:
        """Return what the client is told of a stream that broke; its cause is for the log."""
        problem = error.problem if isinstance(error, Ended) else error
        if not isinstance(problem, Problem) or isinstance(problem, Internal):
            problem = Internal(request_id=call.request_id)
            facts = {"operation": call.operation.name, "request_id": call.request_id}
            cause = error.__cause__ if isinstance(error, Internal) else error
            notice = Notice("error", "stream_broken", "a stream broke, and was cut off", facts, cause)
            call.operation.ports.observer.observe(notice)
        text = document(problem, status_of(problem), self._base)
        return b"event: problem\ndata: %b\n\n" % text if self._framed is Events else text + b"\n"
