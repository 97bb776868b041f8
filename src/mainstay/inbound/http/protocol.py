"""One HTTP/1.1 connection: exchanges are answered one at a time and in order (RFC 9112).

Input is not parsed while an exchange is in flight whose body is complete, so that a client which sends ahead costs a
bounded amount of memory; nothing is answered while the client does not take what was written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any, cast

from mainstay.inbound.http.connections import Connections
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.intake import Intake
from mainstay.inbound.http.problems import ReadTimeout, RequestMalformed
from mainstay.inbound.http.sendfile import FileSender
from mainstay.inbound.http.sending import Parts, opened
from mainstay.inbound.http.turnstile import Gate
from mainstay.inbound.http.wire import CHUNKED, CLOSE, CONTINUE, KEEP, beginning, length_line, whole
from mainstay.kernel.call import Reply

_DRAIN = 64 << 10  # of a body that nobody wants, this much is read to keep the connection


class HttpProtocol(asyncio.Protocol):
    """A connection. All of a server share what is in ``Connections``."""

    __slots__ = (
        "_beat",
        "_current",
        "_door",
        "_drained",
        "_held",
        "_held_size",
        "_intake",
        "_left",
        "_loop",
        "_reading",
        "_shared",
        "_since",
        "_stalled",
        "_taken",
        "_task",
        "_transport",
    )

    def __init__(self, shared: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self._shared = shared
        self._door = shared.door
        self._beat = shared.beat
        self._loop = loop
        self._transport: Any = None
        self._intake: Any = None
        self._current: Exchange | None = None  # in flight, waiting for something
        self._task: asyncio.Future[Any] | None = None
        self._held: deque[bytes] = deque()
        self._held_size = 0  # bytes in it that have not been parsed
        self._taken = 0  # bytes of the first that have been
        self._reading = True
        self._left = False
        self._drained: asyncio.Future[None] | None = None  # set while the client does not take what was written
        self._since = 0  # the beat at which the present wait for the client began
        self._stalled = 0  # the beat at which writing was paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        peername = transport.get_extra_info("peername")
        self._intake = Intake(self._door, peername[0] if isinstance(peername, tuple) else "")
        self._since = self._beat.now
        self._shared.open.add(self)
        if self._shared.gate.shut:
            self.step_behind(self._shared.gate)

    def step_behind(self, gate: Gate) -> None:
        """Let a turnstile take the input."""
        if self._transport is not None:
            gate.place(self, self._transport)

    def spare(self) -> bool:
        """Whether nothing of a request has come. The wait for one begins anew."""
        intake = self._intake
        if self._current is not None or self._held or self._drained is not None or self._shared.retiring:
            return False
        self._since = self._beat.now
        return not (intake.partial or intake.incoming is not None or intake.ready or intake.closed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the form of a protocol
        """End. A query in flight is cancelled; a command goes on, its outcome is told to nobody."""
        self._shared.leave(self)
        self._held.clear()
        intake: Intake = self._intake
        intake.end(RequestMalformed("the connection ended before the body"))
        intake.ready.clear()
        self._transport = None
        self.resume_writing()
        current = self._current
        if self._task is not None and (current is None or _may_cancel(current)):
            self._task.cancel()

    def eof_received(self) -> bool:
        """The client has left, or has said all: an exchange that changes something is still answered."""
        self._left = True
        self._intake.end(RequestMalformed("the connection ended before the body"))
        current = self._current
        if current is None or _may_cancel(current):
            return False
        current.closing = True
        return True

    def data_received(self, data: bytes) -> None:
        """Take input."""
        intake = self._intake
        partial = intake.partial
        taken = 0
        if not self._held and (self._current is None or intake.incoming is not None) and not intake.ready:
            taken = intake.parse(data)
            if (
                taken == len(data)
                and self._current is None
                and self._drained is None
                and intake.ready
                and intake.incoming is None
            ):
                self._begin(intake.ready.popleft())
                return
        if taken < len(data) and not intake.closed:
            self._hold(data, taken)
        if intake.incoming is not None or intake.partial is not partial:
            self._since = self._beat.now
        self._go_on()

    def _go_on(self) -> None:
        """Answer what is ready and parse what is held, as far as both can be done now."""
        intake = self._intake
        ready = intake.ready
        while self._transport is not None:
            if ready and self._current is None and self._drained is None:
                self._begin(ready.popleft())
            elif self._held and ((self._current is None and not ready) or self._takes_body()):
                self._parse_held()
            else:
                break
        if intake.fault is not None and self._current is None and not ready and self._drained is None:
            fault, intake.fault = intake.fault, None
            self._send(fault, fault.answer)
        if self._held_size or not self._reading or intake.incoming is not None:
            self._hold_back()

    def _takes_body(self) -> bool:
        """Whether a body is arriving, and its reader is not behind."""
        incoming = self._intake.incoming
        return incoming is not None and (incoming.inflow is None or not incoming.inflow.full)

    def _has_room(self) -> None:
        """The reader of a body has caught up: go on, but not now, since it may be in the midst of us."""
        self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        if self._transport is not None:
            self._go_on()

    def _hold(self, data: bytes, taken: int) -> None:
        """Keep input until its turn comes; so much of it has been taken."""
        if not self._held:
            self._taken = taken
        self._held.append(data)
        self._held_size += len(data) - taken

    def _parse_held(self) -> None:
        """Parse on in what is held, to the end of one request at most."""
        data = self._held[0]
        taken = self._intake.parse(data, self._taken)
        self._held_size -= taken - self._taken
        self._taken = taken
        if taken == len(data):
            self._held.popleft()
            self._taken = 0

    def _hold_back(self) -> None:
        """Read no more than may be held."""
        if self._transport is None:
            return
        behind = self._intake.incoming is not None and not self._takes_body()
        over = behind or self._held_size > self._door.options.max_held_bytes
        if over and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not over and not self._reading:
            self._reading = True
            self._since = self._beat.now  # until now it was not the client's turn
            self._transport.resume_reading()

    def _begin(self, exchange: Exchange) -> None:
        """Run one exchange, to its answer where it need not wait."""
        answer = exchange.answer
        if answer is None:
            try:
                if exchange.inflow is not None:
                    self._prepare(exchange)
                result = self._door.begin(exchange, self._loop)
            except Exception as error:
                answer = self._door.failed(exchange, error)
            else:
                if result.__class__ is not Reply and isinstance(result, asyncio.Future):
                    self._current = exchange
                    self._task = result
                    result.add_done_callback(self._done)
                    return
                answer = self._door.finish(exchange, result)
        self._send(exchange, answer)

    def _prepare(self, exchange: Exchange) -> None:
        """Give a call its body where that is here already; else be ready to ask the client for it."""
        inflow, call = exchange.inflow, exchange.call
        if inflow is None:
            return
        if call is not None and inflow.complete and exchange.direct and not inflow.over:
            call.body = inflow.take()
            return
        inflow.room = self._has_room
        if exchange.expects:
            inflow.wanted = partial(self._ask_for_body, exchange)

    def _ask_for_body(self, exchange: Exchange) -> None:
        """Tell the client to go on (100), unless it has."""
        inflow, exchange.expects = exchange.inflow, False
        if inflow is not None:
            inflow.wanted = None
            if self._transport is not None and not inflow.size:
                self._transport.write(CONTINUE)

    def _done(self, task: asyncio.Future[Any]) -> None:
        """The exchange in flight has its outcome."""
        exchange, self._task = cast("Exchange", self._current), None
        if task.cancelled():
            self.abort()
            return
        error = task.exception()
        answer = self._door.finish(exchange, task.result()) if error is None else self._door.failed(exchange, error)
        if self._transport is not None:
            self._send(exchange, answer)
            self._go_on()
        elif answer.stream is not None:
            self._task = self._loop.create_task(Parts(answer).close())

    def _send(self, exchange: Exchange, answer: Answer) -> None:
        """Write an answer, at once where it is whole."""
        inflow = exchange.inflow
        if inflow is not None and not inflow.complete:
            self._leave_body(exchange)
        connection = b""
        if exchange.closing or exchange.http10 or self._shared.retiring:
            exchange.closing |= self._shared.retiring
            connection = CLOSE if exchange.closing else KEEP
        if answer.parted:
            self._current = exchange
            self._task = self._loop.create_task(self._send_parts(exchange, answer, connection))
            self._task.add_done_callback(self._sent)
            return
        self._transport.write(whole(answer, exchange.method, self._beat.date, connection))
        self._current = None
        self._since = self._beat.now
        if connection is CLOSE:
            self._close()

    def _leave_body(self, exchange: Exchange) -> None:
        """Read the rest of a small body, so that the connection can go on; give up the connection for a large one."""
        inflow = exchange.inflow
        if inflow is None:
            return
        length = exchange.headers.get(b"content-length")
        if exchange.expects or b"expect" in exchange.headers or length is None or int(length) - inflow.size > _DRAIN:
            exchange.closing = True
        inflow.drop()

    async def _send_parts(self, exchange: Exchange, answer: Answer, connection: bytes) -> None:
        try:
            answer = await opened(answer)
        except OSError as error:
            answer = self._door.failed(exchange, error)
        if not answer.parted:
            self._write(whole(answer, exchange.method, self._beat.date, connection))
            return
        parts = Parts(answer)
        try:
            chunked = parts.length is None and not exchange.http10
            framing = CHUNKED if chunked else b"" if parts.length is None else length_line(parts.length)
            if parts.length is None and exchange.http10:
                exchange.closing, connection = True, CLOSE
            self._write(beginning(answer, framing, self._beat.date, connection))
            if exchange.method != b"HEAD":
                await parts.send(self._write, self._behind, chunked=chunked, send_file=self._file_sender())
        finally:
            await parts.close()

    def _file_sender(self) -> FileSender | None:
        """Return what sends files by the system's own means; over TLS there is none."""
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is not None:
            return None
        return FileSender(transport, self._loop, self._behind, self.pause_writing, self.resume_writing)

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            raise ConnectionResetError("the client left")
        self._transport.write(data)

    def _behind(self) -> asyncio.Future[None] | None:
        return self._drained

    def _sent(self, task: asyncio.Future[None]) -> None:
        """An answer in parts has ended. One that broke ends its connection, so that it cannot be taken for whole."""
        exchange, self._task = cast("Exchange", self._current), None
        if task.cancelled():
            self.abort()
            return
        error = task.exception()
        if error is not None:
            if self._transport is not None:
                self._door.failed(exchange, error)
            self.abort()
        elif self._transport is not None:
            self._finish(exchange)
            self._go_on()

    def _finish(self, exchange: Exchange) -> None:
        """An exchange has been answered: go on with the next, or end."""
        self._current = None
        self._since = self._beat.now
        if exchange.closing:
            self._close()

    def _close(self) -> None:
        """End the connection; where input is still arriving, not before the client can have seen the answer.

        A connection closed with unread input is reset, and a client may lose an answer that it has not read yet.
        """
        intake: Intake = self._intake
        unread = intake.closed or intake.incoming is not None or bool(self._held)
        intake.closed = True
        intake.ready.clear()
        self._held.clear()
        self._held_size = 0
        transport = self._transport
        if transport is None:
            return
        if not unread or self._left or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # the client has reset the connection
            transport.abort()
        else:
            self._loop.call_later(self._door.options.linger, transport.close)

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        if self._drained is None:
            self._drained = self._loop.create_future()
            self._stalled = self._beat.now

    def resume_writing(self) -> None:
        """The client has caught up."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._transport is not None:
            self._go_on()

    def sweep(self) -> None:
        """Close what has waited too long for its client."""
        intake, options, now = self._intake, self._door.options, self._beat.now
        if self._drained is not None:
            if now - self._stalled > options.write_timeout:
                self.abort()
        elif intake.incoming is not None:
            if self._reading and now - self._since > options.body_timeout:
                self._intake.end(ReadTimeout("the body did not arrive in time"))
                if self._current is None:
                    self._close()
        elif self._current is None and intake.partial:
            if now - self._since > options.header_timeout:
                intake.refuse(ReadTimeout("the head did not arrive in time"))
                self._go_on()
        elif self._current is None and now - self._since > self._shared.idle_seconds:
            self._close()

    def retire(self) -> None:
        """Close now if idle for long enough; else after the answers to what has begun.

        A client that was here a moment ago may be sending already: it has a moment to do so, and is told then.
        """
        self.sweep()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()


def _may_cancel(exchange: Exchange) -> bool:
    """Whether nothing is lost with an exchange: it reads, or it already is being answered."""
    return exchange.call is None or exchange.target.query
