"""The same door as an ASGI 3 application, for servers that speak more than HTTP/1.1 and for mounting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.mounts import Message, Receive, Scope, Send
from mainstay.inbound.http.problems import ReadTimeout, RequestMalformed
from mainstay.inbound.http.scopes import merge_fields, target_of
from mainstay.inbound.http.sending import Parts, opened
from mainstay.inbound.http.targets import PageTarget
from mainstay.inbound.http.websockets import converse
from mainstay.model.problem import Problem, Unavailable

__all__ = ["AsgiApp", "Message", "Receive", "Scope", "Send"]

Hook = Callable[[], Awaitable[None]]

_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})


class NotStarted(
    Unavailable,
    hint="Hand its lifespan on to the application around it: FastAPI(lifespan=api.lifespan), Starlette likewise.",
):
    """The service has not been started."""


class AsgiApp:
    """ASGI 3: ``http``, ``lifespan``, and ``websocket`` for mounted applications.

    ``start`` and ``stop`` are awaited at the ends of the server's life. An application that this one is mounted in must
    see to that, since frameworks pass no lifespan on: ``FastAPI(lifespan=api.lifespan)``. Until it is started calls
    are answered 503.
    """

    def __init__(self, door: Door, *, start: Hook | None = None, stop: Hook | None = None) -> None:
        self.door = door
        self._start = start
        self._stop = stop
        self.started: bool = start is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's life. Other scopes are refused with ``RuntimeError``, as ASGI has it."""
        if scope["type"] == "http":
            await _Request(self.door, receive, send, started=self.started).serve(scope)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await converse(self.door, scope, receive, send)
        else:
            raise RuntimeError(f"scope {scope['type']!r} is not served here")

    async def startup(self) -> None:
        """Start the service, once."""
        if self._start is not None and not self.started:
            await self._start()
        self.started = True

    async def shutdown(self) -> None:
        """Stop the service: streams are told to end first."""
        self.door.draining = True
        self.door.parting.begin()
        if self._stop is not None and self.started:
            await self._stop()
            self.started = False

    @asynccontextmanager
    async def lifespan(self, _around: object = None) -> AsyncIterator[None]:
        """Be started and stopped with an application around this one: ``Starlette(lifespan=api.lifespan)``."""
        await self.startup()
        try:
            yield
        finally:
            await self.shutdown()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"].removeprefix("lifespan.")
            try:
                await (self.startup() if event == "startup" else self.shutdown())
            except Exception as error:
                await send({"type": f"lifespan.{event}.failed", "message": f"{type(error).__name__}: {error}"})
                raise
            await send({"type": f"lifespan.{event}.complete"})
            if event == "shutdown":
                return


class _Request:
    """One request of an ASGI server."""

    def __init__(self, door: Door, receive: Receive, send: Send, *, started: bool = True) -> None:
        self._door = door
        self._receive = receive
        self._send = send
        self._started = started
        self._reader: asyncio.Task[None] | None = None
        self._left = False
        self._abandoned: asyncio.Future[Any] | None = None  # what is cancelled when the client leaves

    async def serve(self, scope: Scope) -> None:
        exchange = self._open(scope)
        try:
            answer = exchange.answer
            if answer is None:
                answer = await self._run(exchange)
            if answer is not None:
                await self._answer(exchange, answer)
        finally:
            if self._reader is not None:
                self._reader.cancel()

    def _open(self, scope: Scope) -> Exchange:
        door = self._door
        method = scope["method"].encode("latin-1")
        target, root = target_of(scope)
        client = scope.get("client")
        address = client[0] if client else ""
        peer = door.peer_of(address)
        secure = scope.get("scheme") == "https"
        headers: dict[bytes, bytes] = {}
        try:
            merge_fields(scope["headers"], headers, door.options)
        except Problem as problem:
            return door.broken(method, target, headers, peer, problem, secure=secure)
        later = scope.get("http_version", "1.1")[:1] in "23"  # they frame a body without a header field
        exchange = door.receive(
            method,
            target,
            headers,
            address=address,
            peer=peer,
            root=root,
            streaming=later and method in _WITH_BODY and b"content-length" not in headers,
            secure=secure,
        )
        if not self._started and exchange.answer is None and not isinstance(exchange.target, PageTarget):
            exchange.answer = door.refuse(exchange, NotStarted(retry_after=1))
        return exchange

    async def _run(self, exchange: Exchange) -> Answer | None:
        """Return the answer, or None where the client left before there was one."""
        loop = asyncio.get_running_loop()
        inflow = exchange.inflow
        if inflow is not None and inflow.keep:
            self._reader = loop.create_task(self._read(inflow))
        try:
            result = self._door.begin(exchange, loop)
            if isinstance(result, asyncio.Future):
                if exchange.call is None or exchange.target.query:
                    return self._door.finish(exchange, await self._while_there(result))
                result = await asyncio.shield(result)
            return self._door.finish(exchange, result)
        except ClientLeft:
            return None
        except Exception as error:
            return self._door.failed(exchange, error)

    async def _while_there(self, running: asyncio.Future[Any]) -> Any:
        """Wait for something that is cancelled when the client leaves. Raises ``ClientLeft`` then."""
        self._abandoned = running
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read(None))
        elif self._left:
            running.cancel()
        try:
            return await running
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._left and task is not None and not task.cancelling():
                raise ClientLeft from None
            raise
        finally:
            self._abandoned = None

    async def _read(self, inflow: Inflow | None) -> None:
        """Take all that the server has of the client: its body, as its reader takes it, and that it has left."""
        if inflow is None:
            await self._skip()
        elif not await self._feed(inflow):
            return
        if not self._left:
            self._left = (await self._receive())["type"] == "http.disconnect"
        if self._left and self._abandoned is not None:
            self._abandoned.cancel()

    async def _skip(self) -> None:
        """Take a body that nobody asked for."""
        more = True
        while more and not self._left:
            message = await self._receive()
            self._left = message["type"] == "http.disconnect"
            more = message.get("more_body", False)

    async def _feed(self, inflow: Inflow) -> bool:
        """Pass the body on until it ends or is over its bound. Returns whether more may be received."""
        timeout = self._door.options.body_timeout
        room = asyncio.Event()
        inflow.room = room.set
        while not inflow.over:
            try:
                message = await asyncio.wait_for(self._receive(), timeout)
            except TimeoutError:
                inflow.fail(ReadTimeout("the body did not arrive in time"))
                return True
            if message["type"] == "http.disconnect":
                self._left = True
                inflow.fail(RequestMalformed("the connection ended before the body"))
                return True
            inflow.feed(message.get("body", b""))
            if not message.get("more_body", False):
                inflow.finish()
                return True
            while inflow.full:
                room.clear()
                await room.wait()
        return False

    async def _answer(self, exchange: Exchange, answer: Answer) -> None:
        try:
            answer = await opened(answer)
        except OSError as error:
            answer = self._door.failed(exchange, error)
        head = [tuple(one.split(b": ", 1)) for one in answer.head.split(b"\r\n") if one]
        headers = [(name.lower(), value) for name, value in head]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if answer.parted:
            await self._answer_in_parts(exchange, answer, start)
            return
        if answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if exchange.method == b"HEAD" else answer.body})

    async def _answer_in_parts(self, exchange: Exchange, answer: Answer, start: Message) -> None:
        parts = Parts(answer)
        sending = asyncio.get_running_loop().create_task(self._send_parts(exchange, parts, start))
        with contextlib.suppress(ClientLeft):
            await self._while_there(sending)

    async def _send_parts(self, exchange: Exchange, parts: Parts, start: Message) -> None:
        try:
            if parts.length is not None:
                start["headers"].append((b"content-length", b"%d" % parts.length))
            await self._send(start)
            if exchange.method != b"HEAD":
                async for part in parts:
                    await self._send({"type": "http.response.body", "body": part, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            await parts.close()


class ClientLeft(Exception):
    """Nobody is there to be answered."""
