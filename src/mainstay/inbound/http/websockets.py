"""WebSocket scopes of an ASGI server: passed on to mounted applications, refused elsewhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.mounts import Place, Receive, Scope, Send
from mainstay.inbound.http.problems import NoRoute
from mainstay.inbound.http.request import split_target
from mainstay.inbound.http.scopes import merge_fields, target_of
from mainstay.kernel.call import Call
from mainstay.model.principal import Principal
from mainstay.model.problem import Internal, Problem
from mainstay.ports.observer import CallEnded

_POLICY = 1008  # the close code of what is refused (RFC 6455, section 7.4.1); before it is accepted, a server says 403
_SWITCHED = 101


async def converse(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a WebSocket on to the application that is mounted there, past host check and limits; else close it."""
    client = scope.get("client")
    address = client[0] if client else ""
    headers: dict[bytes, bytes] = {}
    target, root = target_of(scope)
    try:
        merge_fields(scope["headers"], headers, door.options)
        exchange = door.greet(headers, address, target, root, secure=scope.get("scheme") == "wss")
        exchange.path = split_target(target)[0]
        place = door.mounts.find(exchange.path) if door.mounts else None
        if place is None:
            raise NoRoute
    except Problem:
        await _close(receive, send)
        return
    await _Conversation(exchange, place).serve(scope, receive, send)


async def _close(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": _POLICY})


class _Conversation:
    """One WebSocket of a mounted application."""

    def __init__(self, exchange: Exchange, place: Place) -> None:
        self._exchange = exchange
        self._place = place
        self._bound = place.mount.bound
        self._call = Call(
            operation=self._bound,
            protocol="websocket",
            method="GET",
            target=exchange.path.decode("latin-1"),
            peer=exchange.peer,
            request_id=exchange.request_id,
        )

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, and tell what became of it."""
        clock = self._bound.ports.clock
        began = clock.monotonic()
        problem: Problem | None = None
        error: BaseException | None = None
        self._bound.running += 1
        try:
            for stage in self._bound.stages:
                waiting = stage(self._call)
                if waiting is not None:
                    await waiting
            await self._place.mount.app(self._scope(scope), receive, send)
        except Problem as refused:
            problem = refused
            await _close(receive, send)
        except Exception as failed:
            problem, error = Internal(request_id=self._call.request_id), failed
            raise
        finally:
            self._bound.running -= 1
            self._observe(problem, error, clock.monotonic() - began)

    def _scope(self, scope: Scope) -> dict[str, Any]:
        root = unquote(self._exchange.root)
        passed = {
            **scope,
            "path": root + self._place.path,
            "raw_path": self._exchange.root.encode() + self._place.raw_path,
            "root_path": root + self._place.mount.path,
            "headers": [
                *((name, value) for name, value in scope["headers"] if name.lower() != b"x-request-id"),
                (b"x-request-id", self._call.request_id.encode()),
            ],
        }
        if self._exchange.address:
            passed["client"] = (self._exchange.address, 0)
        if self._place.mount.state is not None:
            passed["state"] = dict(self._place.mount.state)
        return passed

    def _observe(self, problem: Problem | None, error: BaseException | None, seconds: float) -> None:
        call = self._call
        self._bound.ports.observer.observe(
            CallEnded(
                self._bound.name,
                call.protocol,
                call.method,
                call.target,
                _SWITCHED,
                None if problem is None else problem.kind,
                None if problem is None else problem.code,
                seconds,
                Principal.anonymous,
                call.peer,
                call.request_id,
                None,
                False,
                0,
                error,
            )
        )
