"""One request of a mounted application: the door's exchange as ASGI 3 has it, and its answer as the door has it."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from typing import Any
from urllib.parse import unquote

from mainstay.inbound.http.body import WINDOW, Inflow, too_large
from mainstay.inbound.http.encode import Answers
from mainstay.inbound.http.exchange import Answer, Exchange, field_of
from mainstay.inbound.http.framing import CHUNKED, body_length
from mainstay.inbound.http.head import trace
from mainstay.inbound.http.hosts import parse_authority
from mainstay.inbound.http.incoming import Incoming
from mainstay.inbound.http.mounts import Place, Scope
from mainstay.inbound.http.outgoing import Fields, Outgoing, field_lines
from mainstay.inbound.http.problems import ExpectationFailed
from mainstay.inbound.http.security import without
from mainstay.kernel.call import Call
from mainstay.model.principal import Principal
from mainstay.model.problem import CallerLeft, DeadlineExceeded, Internal, NotSupported, Problem
from mainstay.ports.observer import CallEnded, Notice

LINGER = 30.0
"""Seconds that an application has to end after its client has left."""

_OURS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"expect", b"x-request-id"})
"""Request fields that are the connection's or the door's, and not the application's."""


class Visit:
    """One request, as the target of its exchange. Its answer begins when the application's does.

    It belongs to its client until the answer is complete: that one left is told to the application as a disconnect, and
    it has ``LINGER`` seconds to end. What the application does behind a complete answer is its own.
    ``lines`` are the header lines that its answer carries unless it sets them itself.
    """

    bound = None
    strict = False
    query = True  # nothing is lost to the door when the client leaves: the application is told

    def __init__(self, place: Place, query: bytes, exchange: Exchange, answers: Answers, lines: bytes) -> None:
        self._place = place
        self._query = query
        self._exchange = exchange
        self._answers = answers
        self._lines = lines
        self._bound = bound = place.mount.bound
        self._gone = asyncio.Event()
        self._observed = False
        self._waiting = False
        self._started = bound.ports.clock.monotonic()
        self._timeout: asyncio.Timeout | None = None
        self._answered: asyncio.Future[Answer | Problem] | None = None
        self._task: asyncio.Task[None] | None = None
        self._call = Call(
            operation=bound,
            protocol=place.mount.protocol,
            method=exchange.method.decode("latin-1"),
            target=exchange.path.decode("latin-1"),
            peer=exchange.peer,
            request_id=exchange.request_id,
            traceparent=trace(exchange),
        )
        self._outgoing = Outgoing(
            self._call.method, head=self._head, answer=self._answer, completed=self._complete, left=self._leave
        )

    def prepare(self, streaming: bool) -> None:
        """Look at the head and make room for the body. Raises the Problem of a request that is not passed on."""
        try:
            self._check(streaming)
        except Problem:
            self._exchange.call = self._call  # so that the refusal is told under the name of the mount
            raise

    def _check(self, streaming: bool) -> None:
        exchange = self._exchange
        headers = exchange.headers
        length = body_length(exchange)
        if length is None and streaming:
            length = CHUNKED
        if b"websocket" in headers.get(b"upgrade", b"").lower():
            raise NotSupported(
                "WebSocket is passed on by an ASGI server only: uvicorn --factory mainstay.app.asgi:create"
            )
        if length is None:
            return
        limit = self._place.mount.max_body
        exchange.inflow = Inflow(limit, window=WINDOW)
        if length > limit:
            exchange.closing = True
            raise too_large(limit)
        expect = headers.get(b"expect")
        if expect is not None:
            if expect.strip().lower() != b"100-continue":
                raise ExpectationFailed
            exchange.expects = True

    def begin(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Answer | Problem]:
        """Run the application. Returns what will have the answer; to cancel that is to say that the client has left."""
        self._exchange.call = self._call
        self._answered = answered = loop.create_future()
        answered.add_done_callback(self._look_after)
        self._task = loop.create_task(self._run())
        visits = self._place.mount.visits
        visits.add(self._task)
        self._task.add_done_callback(visits.discard)
        return answered

    def _look_after(self, answered: asyncio.Future[Answer | Problem]) -> None:
        if answered.cancelled():
            self._leave()

    def _leave(self) -> None:
        """The client has left, or takes no more of the answer."""
        if not self._outgoing.complete and not self._gone.is_set():
            self._observe(CallerLeft())
            if self._task is not None:
                asyncio.get_running_loop().call_later(LINGER, self._task.cancel)
        self._gone.set()
        self._outgoing.leave()

    async def _run(self) -> None:
        self._bound.running += 1
        self._waiting = True
        try:
            await self._serve()
        except CancelledError as error:
            self._fail(error)
            raise
        except Exception as error:
            self._fail(error)
        finally:
            self._answers_now()

    def _answers_now(self) -> None:
        """The answer has begun, or there is none: from here on it is a stream, and not a call in flight."""
        self._bound.running -= self._waiting
        self._waiting = False

    async def _serve(self) -> None:
        for stage in self._bound.stages:
            waiting = stage(self._call)
            if waiting is not None:
                await waiting
        incoming = Incoming(self._exchange.inflow, self._gone, self._fail)
        self._timeout = timeout = asyncio.timeout(self._bound.deadline)
        try:
            async with timeout:
                await self._place.mount.app(self._scope(), incoming.receive, self._outgoing.send)
        except TimeoutError as late:
            if not timeout.expired():
                raise
            raise DeadlineExceeded(f"the answer did not begin within {self._bound.deadline:g} s") from late
        if not self._outgoing.complete and not self._gone.is_set():
            raise RuntimeError("the application ended before its answer did")

    def _answer(self, answer: Answer) -> None:
        """The answer has begun: from here on the application has the time that it takes."""
        self._answers_now()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(None)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(answer)

    def _complete(self) -> None:
        self._observe(None)
        self._gone.set()

    def _fail(self, error: BaseException) -> None:
        """End an answer that did not come to its end of its own."""
        if self._outgoing.complete or self._gone.is_set():
            self._fail_behind(error)
            return
        self._gone.set()
        ours = not isinstance(error, Problem)
        problem = Internal(request_id=self._exchange.request_id) if ours else error
        self._observe(problem, error if ours else None)  # type: ignore[arg-type]  # one of both, as ours says
        if not self._outgoing.fail(error) and self._answered is not None and not self._answered.done():
            self._answered.set_result(problem)  # type: ignore[arg-type]  # likewise
        self._outgoing.leave()

    def _fail_behind(self, error: BaseException) -> None:
        """Tell of an application that failed behind its answer; not of one that gave up since nobody listens."""
        if self._outgoing.complete and not isinstance(error, CancelledError):
            facts = {"mount": self._bound.name, "request_id": self._exchange.request_id}
            text = "a mounted application failed behind its answer"
            self._bound.ports.observer.observe(Notice("error", "mount_failed_behind", text, facts, error))

    def _observe(self, problem: Problem | None, error: BaseException | None = None) -> None:
        """Tell what became of the request, once."""
        if self._observed:
            return
        self._observed = True
        call, bound = self._call, self._bound
        bound.ports.observer.observe(
            CallEnded(
                bound.name,
                call.protocol,
                call.method,
                call.target,
                self._outgoing.status,
                None if problem is None else problem.kind,
                None if problem is None else problem.code,
                bound.ports.clock.monotonic() - self._started,
                Principal.anonymous,
                call.peer,
                call.request_id,
                call.traceparent,
                False,
                0,
                error,
            )
        )

    def _head(self, fields: Fields) -> bytes:
        lines = field_lines(fields)
        self._exchange.common = without(self._lines, (name.decode("latin-1") for name, _ in fields))
        return lines + self._answers.trailer(self._exchange)

    def _scope(self) -> Scope:
        exchange, place = self._exchange, self._place
        root = unquote(exchange.root)
        fields = [(name, value) for name, value in exchange.headers.items() if name not in _OURS]
        if exchange.authority is not None:
            called = exchange.authority.encode("latin-1")
            fields = [(name, called if name == b"host" else value) for name, value in fields]
        fields.append((b"x-request-id", exchange.request_id.encode()))
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.0" if exchange.http10 else "1.1",
            "method": self._call.method,
            "scheme": "https" if exchange.secure else "http",
            "path": root + place.path,
            "raw_path": exchange.root.encode() + place.raw_path,
            "query_string": self._query,
            "root_path": root + place.mount.path,
            "headers": fields,
            "client": (exchange.address, 0) if exchange.address else None,
            "server": _server(exchange),
        }
        if place.mount.state is not None:
            scope["state"] = dict(place.mount.state)
        return scope


def _server(exchange: Exchange) -> tuple[str, int] | None:
    """Return what the client called, as far as it says."""
    called = parse_authority(exchange.authority or field_of(exchange.headers, "host") or "")
    if called is None:
        return None
    return called.host, called.port or (443 if exchange.secure else 80)
