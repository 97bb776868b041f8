"""The HTTP client: guarded connections, kept for the next call; every call bounded in time, size and number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from mainstay.adapters.outgoing.bodies import CODINGS, read_body
from mainstay.adapters.outgoing.guard import Guard
from mainstay.ports.clock import Clock
from mainstay.ports.http import HttpAnswer, HttpClient, HttpFailed
from mainstay.ports.http_exchange import HttpRequest, exchange, request_of
from mainstay.ports.observer import Observer, OutgoingEnded

if TYPE_CHECKING:
    import httpcore2

KEEP_SECONDS = 5.0  # that a connection at rest is kept: most servers keep it longer, so that none is used as it closes


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What no call may pass: bytes of an answer, connections in all and to one host. ``agent`` is said of who calls."""

    max_body: int = 16 * 1024 * 1024
    connections: int = 100
    per_host: int = 20
    agent: str = ""
    certificates: str | None = None  # a PEM file of authorities that are believed beside the system's


class Cause(msgspec.Struct, frozen=True):
    """What a request is made for: the call's id, its trace, and until when (monotonic) it may last."""

    request_id: str = ""
    traceparent: str | None = None
    deadline: float | None = None


class GuardedHttp(HttpClient):
    """Calls other services. Nothing is taken from the environment: no proxy, no credentials of a file.

    The connections are those of one process, made at the first call; ``aclose`` ends them.
    """

    def __init__(self, guard: Guard, clock: Clock, observer: Observer, bounds: Bounds | None = None) -> None:
        self._guard = guard
        self._clock = clock
        self._observe = observer.observe
        self._bounds = bounds or Bounds()
        self._lanes = _Lanes(self._bounds.per_host)
        self._pool: httpcore2.AsyncConnectionPool | None = None
        self._making = asyncio.Lock()

    def made_for(self, cause: Cause) -> HttpClient:
        """Return this client as a call has it: what it sends is bound to the call."""
        return _ForCall(self, cause)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        max_body: int = 1024 * 1024,
        redirects: int = 0,
    ) -> HttpAnswer:
        """Send a request and return the answer."""
        wanted = _Wanted(method, url, headers, body, seconds, max_body, redirects)
        return await self.carry_out(wanted, Cause())

    async def carry_out(self, wanted: _Wanted, cause: Cause) -> HttpAnswer:
        """Do what is wanted, and observe it once. Raises what ``request`` raises."""
        begun = self._clock.monotonic()
        told = _Told()
        try:
            answer = await self._bounded(wanted, cause, begun, told)
            told.status, told.received = answer.status, len(answer.body)
            return answer
        except HttpFailed as failed:
            told.code, told.reason = failed.code, failed.reason
            raise
        except asyncio.CancelledError:
            told.code, told.reason = "cancelled", "the call that it was made for has ended"
            raise
        finally:
            self._observe(told.ended(wanted, cause, self._clock.monotonic() - begun))

    async def _bounded(self, wanted: _Wanted, cause: Cause, begun: float, told: _Told) -> HttpAnswer:
        plain = request_of(wanted.method, wanted.url, wanted.headers, wanted.body)
        told.method, told.origin = plain.method, plain.target.origin
        request = _dressed(plain, cause, self._bounds.agent)
        left = wanted.seconds if cause.deadline is None else min(wanted.seconds, cause.deadline - begun)
        max_body = min(wanted.max_body, self._bounds.max_body)
        try:
            async with asyncio.timeout(left):
                return await exchange(lambda one: self._send(one, max_body), request, wanted.redirects)
        except TimeoutError:
            raise HttpFailed(f"there was no whole answer within {left:g} s") from None

    async def _send(self, request: HttpRequest, max_body: int) -> HttpAnswer:
        """Send one request on a connection to its origin, new or at rest."""
        import httpcore2

        pool = self._pool or await self._connected()
        async with self._lanes.of(request.target.origin):
            try:
                response = await pool.handle_async_request(_on_wire(request))
                try:
                    return await _answer(response, max_body)
                finally:
                    await response.aclose()
            except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
                raise HttpFailed(f"{type(error).__name__}: {error}") from error

    async def prepare(self) -> None:
        """Load what calls need, so that the first one does not wait for it."""
        await self._connected()

    async def _connected(self) -> httpcore2.AsyncConnectionPool:
        """Make the pool. What it needs takes a while to load, once, and in a thread: no other call waits for that."""
        async with self._making:
            if self._pool is None:
                self._pool = await asyncio.to_thread(_make_pool, self._guard, self._bounds)
            return self._pool

    async def aclose(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()


class _Wanted(msgspec.Struct, frozen=True):
    """The arguments of ``request``. A representation shows none of them."""

    method: str
    url: str
    headers: Mapping[str, str] | None
    body: bytes
    seconds: float
    max_body: int
    redirects: int

    def __repr__(self) -> str:
        return "<_Wanted>"


class _Told(msgspec.Struct):
    """What will be observed of a request."""

    method: str = ""  # none where it is not even that
    origin: str = ""
    status: int | None = None
    code: str | None = None
    reason: str = ""
    received: int = 0

    def ended(self, wanted: _Wanted, cause: Cause, seconds: float) -> OutgoingEnded:
        """Return the observation."""
        return OutgoingEnded(
            self.method,
            self.origin,
            self.status,
            self.code,
            self.reason,
            seconds,
            len(wanted.body),
            self.received,
            cause.request_id,
            cause.traceparent,
        )


class _ForCall(HttpClient):
    """The client, for one call."""

    def __init__(self, client: GuardedHttp, cause: Cause) -> None:
        self._client = client
        self._cause = cause

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        max_body: int = 1024 * 1024,
        redirects: int = 0,
    ) -> HttpAnswer:
        """Send a request and return the answer."""
        wanted = _Wanted(method, url, headers, body, seconds, max_body, redirects)
        return await self._client.carry_out(wanted, self._cause)


class _Lanes:
    """At most ``width`` requests to one origin at a time; origins that nobody calls are forgotten."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._gates: dict[str, tuple[asyncio.Semaphore, set[object]]] = {}

    @asynccontextmanager
    async def of(self, origin: str) -> AsyncIterator[None]:
        """Wait for one's turn, and have it until the block ends."""
        gate, users = self._gates.setdefault(origin, (asyncio.Semaphore(self._width), set()))
        me = object()
        users.add(me)
        try:
            async with gate:
                yield
        finally:
            users.discard(me)
            if not users:
                del self._gates[origin]


def _dressed(request: HttpRequest, cause: Cause, agent: str) -> HttpRequest:
    """Return a request with what this service says of itself and of the call, where the caller has not."""
    said = {"user-agent": agent, "x-request-id": cause.request_id, "traceparent": cause.traceparent or ""}
    ours = {name: value for name, value in said.items() if value}
    return msgspec.structs.replace(request, headers={**ours, **request.headers})


def _on_wire(request: HttpRequest) -> httpcore2.Request:
    import httpcore2

    target = request.target
    headers = {"host": target.authority, "accept-encoding": CODINGS, **request.headers}
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(request.body))
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
        headers=list(headers.items()),
        content=request.body,
    )


async def _answer(response: httpcore2.Response, max_body: int) -> HttpAnswer:
    """Return the whole answer. Raises ``HttpFailed`` for one that is too long, at once where it says so itself."""
    headers = _fields(response.headers)
    if response.status < 200:
        raise HttpFailed("the other side changes the protocol, which was not asked for")
    length = headers.get("content-length", "")
    if length.isdigit() and "content-encoding" not in headers and int(length[:20]) > max_body:
        raise HttpFailed(f"the body has more than {max_body} bytes")
    body = await read_body(response.aiter_stream(), headers.get("content-encoding", ""), max_body)
    return HttpAnswer(status=response.status, headers=headers, body=body)


def _fields(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in raw:
        low, text = name.decode("ascii").lower(), value.decode("latin-1")
        fields[low] = f"{fields[low]}, {text}" if low in fields else text
    return fields


def _make_pool(guard: Guard, bounds: Bounds) -> httpcore2.AsyncConnectionPool:
    import ssl

    import httpcore2

    from mainstay.adapters.outgoing.network import GuardedNetwork

    context = ssl.create_default_context()
    if bounds.certificates is not None:
        context.load_verify_locations(bounds.certificates)
    context.set_alpn_protocols(["http/1.1"])
    return httpcore2.AsyncConnectionPool(
        ssl_context=context,
        max_connections=bounds.connections,
        max_keepalive_connections=bounds.connections,
        keepalive_expiry=KEEP_SECONDS,
        network_backend=GuardedNetwork(guard),
    )
