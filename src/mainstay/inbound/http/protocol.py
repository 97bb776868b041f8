"""One HTTP/1.1 connection: exchanges are answered one at a time and in order (RFC 9112).

Input is not parsed while an exchange is in flight whose body is complete, so that a client which sends ahead costs a
bounded amount of memory; nothing is answered while the client does not take what was written.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

from mainstay.inbound.http.arrived import arrived
from mainstay.inbound.http.connections import Connections, address_of
from mainstay.inbound.http.exchange import Answer, Exchange, may_cancel
from mainstay.inbound.http.framing import leave_body
from mainstay.inbound.http.held import Held
from mainstay.inbound.http.intake import Intake
from mainstay.inbound.http.parted import send_parted, sender_of
from mainstay.inbound.http.patience import Meter, cut_off, unsent
from mainstay.inbound.http.problems import ReadTimeout, RequestMalformed
from mainstay.inbound.http.sending import Parts
from mainstay.inbound.http.streaming import Cut
from mainstay.inbound.http.turnstile import Gate
from mainstay.inbound.http.wire import CLOSE, CONTINUE, KEEP, whole
from mainstay.kernel.call import Reply

_TURNS = 32  # requests that one client has answered before others have their turn


class HttpProtocol(asyncio.Protocol):
    """A connection. All of a server share what is in ``Connections``."""

    __slots__ = (
        "_beat",
        "_current",
        "_door",
        "_drained",
        "_held",
        "_intake",
        "_left",
        "_loop",
        "_meter",
        "_name",
        "_reading",
        "_shared",
        "_since",
        "_task",
        "_transport",
    )

    def __init__(self, shared: Connections, loop: asyncio.AbstractEventLoop, address: str | None = None) -> None:
        self._shared = shared
        self._door = shared.door
        self._beat = shared.beat
        self._loop = loop
        self._transport: Any = None
        self._intake: Any = None
        self._current: Exchange | None = None  # in flight, waiting for something
        self._task: asyncio.Future[Any] | None = None
        self._held = Held()
        self._meter: Meter | None = None  # of what is awaited from the client, once that takes long
        self._name = address  # of the client, where the connection does not say it; then that by which it is counted
        self._reading = True
        self._left = False
        self._drained: asyncio.Future[None] | None = None  # set while the client does not take what was written
        self._since = 0  # the beat at which the present wait for the client began

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        address = address_of(transport) if self._name is None else self._name
        self._intake = Intake(self._door, address, self._shared.client_of(transport))
        self._since = self._beat.now
        self._name = self._shared.enter(self, address)
        if self._name is None:
            self._turn_away()
            return
        if self._shared.gate.shut:
            self.step_behind(self._shared.gate)

    def step_behind(self, gate: Gate) -> None:
        """Let a turnstile take the input."""
        if self._transport is not None:
            gate.place(self, self._transport)

    def spare(self) -> bool:
        """Whether nothing of a request has come. The wait for one begins anew."""
        intake = self._intake
        if self._current is not None or self._held.size or self._drained is not None or self._shared.retiring:
            return False
        self._since = self._beat.now
        return not (intake.partial or intake.incoming is not None or intake.ready or intake.closed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the form of a protocol
        """End. A query in flight is cancelled; a command goes on, its outcome is told to nobody."""
        self._shared.leave(self, self._name)
        self._held.clear()
        intake: Intake = self._intake
        intake.end(RequestMalformed("the connection ended before the body"))
        intake.ready.clear()
        self._transport = None
        self.resume_writing()
        current = self._current
        if self._task is not None and (current is None or may_cancel(current)):
            self._task.cancel()

    def eof_received(self) -> bool:
        """The client has left, or has said all: an exchange that changes something is still answered."""
        self._left = True
        self._intake.end(RequestMalformed("the connection ended before the body"))
        current = self._current
        if current is None or may_cancel(current):
            return False
        current.closing = True
        return True

    def data_received(self, data: bytes) -> None:
        """Take input."""
        intake = self._intake
        partial = intake.partial
        taken = 0
        if not self._held.size and (self._current is None or intake.incoming is not None) and not intake.ready:
            taken = intake.parse(data)
            idle = self._current is None and self._drained is None
            if idle and taken == len(data) and intake.ready and intake.incoming is None:
                self._begin(intake.ready.popleft())
                return
        if taken < len(data) and not intake.closed:
            self._held.put(data, taken)
        if intake.incoming is not None or intake.partial is not partial:
            self._since = self._beat.now
        self._go_on()

    def _go_on(self) -> None:
        """Answer what is ready and parse what is held, as far as both can be done now."""
        intake = self._intake
        ready, turns = intake.ready, _TURNS
        while self._transport is not None:
            if ready and self._current is None and self._drained is None:
                self._begin(ready.popleft())
            elif turns and self._held.size and ((self._current is None and not ready) or self._takes_body()):
                turns -= 1
                self._held.parse(intake)
            else:
                break
        if not turns:
            self._loop.call_soon(self._catch_up)
        if intake.fault is not None and self._current is None and not ready and self._drained is None:
            fault, intake.fault = intake.fault, None
            self._send(fault, fault.answer)
        if self._held.size or not self._reading or intake.incoming is not None:
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

    def _hold_back(self) -> None:
        """Read no more than may be held."""
        if self._transport is None:
            return
        behind = self._intake.incoming is not None and not self._takes_body()
        over = behind or self._held.size > self._door.options.max_held_bytes
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
        exchange: Any = self._current  # there is one for as long as its task runs
        self._task = None
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
            leave_body(exchange)
        connection = b""
        if exchange.closing or exchange.http10 or self._shared.retiring:
            exchange.closing |= self._shared.retiring
            connection = CLOSE if exchange.closing else KEEP
        if answer.stream is not None or answer.segments is not None or answer.later is not None:  # it is `parted`
            self._current = exchange
            sending = send_parted(
                self._door,
                exchange,
                answer,
                connection,
                date=self._beat.date,
                write=self._write,
                behind=self._behind,
                sender=sender_of(self, self._transport, self._loop, self._behind),
            )
            self._task = self._loop.create_task(sending)
            self._task.add_done_callback(partial(self._sent, answer))
            return
        self._transport.write(whole(answer, exchange.method, self._beat.date, connection))
        self._current = None
        self._since = self._beat.now
        if connection is CLOSE:
            self._close()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            raise ConnectionResetError("the client left")
        self._transport.write(data)

    def _behind(self) -> asyncio.Future[None] | None:
        return self._drained

    def _sent(self, answer: Answer, task: asyncio.Future[None]) -> None:
        """An answer in parts has ended. One that broke ends its connection, so that it cannot be taken for whole."""
        exchange, self._task = cast("Exchange", self._current), None
        if task.cancelled():
            self._task = self._loop.create_task(Parts(answer).close())  # it may not have been begun
            self.abort()
            return
        error = task.exception()
        if isinstance(error, Cut) and self._transport is not None and not exchange.http10:
            self._transport.close()  # what went wrong has been said; without its end the answer is no whole one
        elif error is not None:
            if self._transport is not None and not isinstance(error, Cut | BrokenPipeError | ConnectionResetError):
                self._door.failed(exchange, error)
            self.abort()
        elif self._transport is not None:
            self._current = None
            self._since = self._beat.now
            if exchange.closing:
                self._close()
            self._go_on()

    def _close(self) -> None:
        """End the connection; where input is still arriving, not before the client can have seen the answer.

        A connection closed with unread input is reset, and a client may lose an answer that it has not read yet.
        """
        intake: Intake = self._intake
        unread = intake.closed or intake.incoming is not None or self._held.size > 0
        intake.closed = True
        intake.ready.clear()
        self._held.clear()
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

    def resume_writing(self) -> None:
        """The client has caught up."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._transport is not None:
            self._go_on()

    def sweep(self) -> None:
        """Close what has waited too long for its client, or gets too little of it."""
        intake, options, now = self._intake, self._door.options, self._beat.now
        if self._transport is None:
            return
        if self._drained is not None:
            size = self._transport.get_write_buffer_size()
            if self._lags(self._drained, -size, options.write_timeout, options.min_write_rate):
                self.abort()
        elif intake.incoming is not None:
            self._sweep_body(intake.incoming, now)
        elif self._current is None and intake.partial:
            if now - self._since > options.header_timeout:
                intake.refuse(ReadTimeout("the head did not arrive in time"))
                self._go_on()
        elif self._current is None and now - self._since > self._patience():
            self.close_idle()

    def _patience(self) -> float:
        """Return for how long the next request is waited for."""
        idle = self._shared.idle_seconds
        return min(idle, self._door.options.first_byte_timeout) if self._intake.untouched else idle

    def _sweep_body(self, incoming: Exchange, now: int) -> None:
        inflow, timeout = incoming.inflow, self._door.options.body_timeout
        if inflow is None or not self._reading or incoming.expects:  # it is not the client who is waited for
            self._meter = None
        elif now - self._since > timeout or self._lags(inflow, inflow.size, timeout, self._door.options.min_body_rate):
            self._intake.end(ReadTimeout("the body did not arrive in time"))
            if self._current is None:
                self._close()

    def _lags(self, of: object, amount: int, window: float, rate: int) -> bool:
        self._meter = self._meter or Meter()
        return self._meter.lags(of, amount, now=self._beat.now, window=window, rate=rate)

    def idle_for(self) -> int:
        """Return for how many seconds the connection has been at rest; -1 where it is not."""
        intake = self._intake
        if self._current is not None or self._drained is not None or intake.partial or intake.incoming is not None:
            return -1
        return self._beat.now - self._since

    def close_idle(self) -> None:
        """End a connection at rest. One whose client has not taken its last answer by now is cut off."""
        if unsent(self._transport):
            self.abort()
        elif not arrived(self._transport):  # else a request came in this moment
            self._close()

    def _turn_away(self) -> None:
        """Say that there are too many connections, and end."""
        self._intake.closed = True
        if self._shared.may_linger(self):
            self._transport.write(self._shared.refusal())
            self._close()
        else:
            self.abort()

    def retire(self) -> None:
        """Close now if idle for long enough; else after the answers to what has begun.

        A client that was here a moment ago may be sending already: it has a moment to do so, and is told then.
        """
        self.sweep()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            cut_off(self._transport)
