"""The same door as an ASGI 3 application, for servers that speak more than HTTP/1.1 and for mounting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.problems import HeadersTooLarge, ReadTimeout, RequestMalformed
from mainstay.inbound.http.request import add_field
from mainstay.inbound.http.sending import Parts
from mainstay.model.problem import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Hook = Callable[[], Awaitable[None]]

_PATH_SAFE = "/%:@!$&'()*+,;=-._~"
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})


class AsgiApp:
    """ASGI 3: ``http`` and ``lifespan``. ``start`` and ``stop`` are awaited at the ends of the server's life."""

    def __init__(self, door: Door, *, start: Hook | None = None, stop: Hook | None = None) -> None:
        self.door = door
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's life. Other scopes are refused with ``RuntimeError``, as ASGI has it."""
        if scope["type"] == "http":
            await _Request(self.door, receive, send).serve(scope)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise RuntimeError(f"scope {scope['type']!r} is not served here")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"].removeprefix("lifespan.")
            hook = self._start if event == "startup" else self._stop
            try:
                if event == "shutdown":
                    self.door.draining = True
                if hook is not None:
                    await hook()
            except Exception as error:
                await send({"type": f"lifespan.{event}.failed", "message": f"{type(error).__name__}: {error}"})
                raise
            await send({"type": f"lifespan.{event}.complete"})
            if event == "shutdown":
                return


class _Request:
    """One request of an ASGI server."""

    def __init__(self, door: Door, receive: Receive, send: Send) -> None:
        self._door = door
        self._receive = receive
        self._send = send

    async def serve(self, scope: Scope) -> None:
        exchange = self._open(scope)
        answer = exchange.answer
        if answer is None:
            answer = await self._run(exchange)
        if answer is not None:
            await self._answer(exchange, answer)

    def _open(self, scope: Scope) -> Exchange:
        door = self._door
        method = scope["method"].encode("latin-1")
        target, root = _target_of(scope)
        client = scope.get("client")
        address = client[0] if client else ""
        peer = door.peer_of(address)
        headers: dict[bytes, bytes] = {}
        try:
            _merge(scope["headers"], headers, door)
        except Problem as problem:
            return door.broken(method, target, headers, peer, problem)
        later = scope.get("http_version", "1.1")[:1] in "23"  # they frame a body without a header field
        streaming = later and method in _WITH_BODY and b"content-length" not in headers
        return door.receive(method, target, headers, address=address, peer=peer, root=root, streaming=streaming)

    async def _run(self, exchange: Exchange) -> Answer | None:
        """Return the answer, or None where the client left before there was one."""
        loop = asyncio.get_running_loop()
        feeder = watcher = None
        if exchange.inflow is not None and exchange.inflow.keep:
            feeder = loop.create_task(self._feed(exchange.inflow))
        try:
            result = self._door.begin(exchange, loop)
            if isinstance(result, asyncio.Future):
                if exchange.call is None or exchange.target.query:
                    watcher = loop.create_task(self._watch(result))
                result = await asyncio.shield(result) if watcher is None else await result
            return self._door.finish(exchange, result)
        except asyncio.CancelledError:
            if watcher is not None and watcher.done():
                return None
            raise
        except Exception as error:
            return self._door.failed(exchange, error)
        finally:
            for task in (feeder, watcher):
                if task is not None:
                    task.cancel()

    async def _feed(self, inflow: Inflow) -> None:
        """Pass the body on as it comes and its reader takes it, until it ends or is over its bound."""
        timeout = self._door.options.body_timeout
        room = asyncio.Event()
        inflow.room = room.set
        while not inflow.over:
            try:
                message = await asyncio.wait_for(self._receive(), timeout)
            except TimeoutError:
                inflow.fail(ReadTimeout("the body did not arrive in time"))
                return
            if message["type"] == "http.disconnect":
                inflow.fail(RequestMalformed("the connection ended before the body"))
                return
            inflow.feed(message.get("body", b""))
            if not message.get("more_body", False):
                inflow.finish()
                return
            while inflow.full:
                room.clear()
                await room.wait()

    async def _watch(self, running: asyncio.Future[Any]) -> None:
        """Cancel a query whose client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        running.cancel()

    async def _answer(self, exchange: Exchange, answer: Answer) -> None:
        head = [tuple(one.split(b": ", 1)) for one in answer.head.split(b"\r\n") if one]
        headers = [(name.lower(), value) for name, value in head]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if answer.stream is not None or answer.path is not None:
            await self._answer_in_parts(exchange, answer, start)
            return
        if answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if exchange.method == b"HEAD" else answer.body})

    async def _answer_in_parts(self, exchange: Exchange, answer: Answer, start: Message) -> None:
        try:
            parts = await Parts.of(answer)
        except OSError as error:
            await self._answer(exchange, self._door.failed(exchange, error))
            return
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


def _target_of(scope: Scope) -> tuple[bytes, str]:
    """Return the request target as it came, without the path that the application is mounted at, and that path."""
    root = scope.get("root_path", "")
    raw = scope.get("raw_path") or quote(scope["path"], safe=_PATH_SAFE).encode()
    prefix = quote(root, safe=_PATH_SAFE).encode()
    if prefix and raw.startswith(prefix):
        raw = raw[len(prefix) :] or b"/"
    query = scope.get("query_string", b"")
    return (raw + b"?" + query if query else raw), quote(root, safe=_PATH_SAFE)


def _merge(fields: Any, headers: dict[bytes, bytes], door: Door) -> None:
    """Join fields of one name. Raises the Problem of a head over its bounds."""
    options, size = door.options, 0
    for count, (name, value) in enumerate(fields, 1):
        size += len(name) + len(value) + 4
        if size > options.max_header_bytes or count > options.max_headers:
            raise HeadersTooLarge
        name = name.lower()
        if name in headers:
            add_field(headers, name, value)
        else:
            headers[name] = value
