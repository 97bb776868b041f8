"""Token bucket, verified tokens, figures and the log of the tuned Python peers: small, without layers."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import orjson
from prometheus_client import Counter, Histogram

_SECRET = os.environ["BENCH_SECRET"]
_CACHED = 10_000

CALLS = Counter("calls", "Calls.", ["route", "status"])
SECONDS = Histogram("call_seconds", "Seconds.", ["route"])


class Buckets:
    """A token bucket a key: ``rate`` tokens a second, at most ``size``."""

    def __init__(self, size: float, seconds: float) -> None:
        self._size = size
        self._rate = size / seconds
        self._held: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> bool:
        """Take a token; False where there is none."""
        now = time.monotonic()
        tokens, then = self._held.get(key, (self._size, now))
        tokens = min(self._size, tokens + (now - then) * self._rate)
        self._held[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


class Tokens:
    """Verified tokens, kept until they expire."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims. Raises ``jwt.InvalidTokenError``."""
        claims = self._known.get(token)
        if claims is None or claims["exp"] <= time.time():
            claims = jwt.decode(token, _SECRET, algorithms=["HS256"], audience="bench", issuer="bench")
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[token] = claims
        return claims


class Observed:
    """ASGI middleware without a task of its own: request id, figures, one line a request."""

    def __init__(self, app: Callable[..., Any], route_of: Callable[[Any], str] | None = None) -> None:
        self._app = app
        self._route_of = route_of or _route_of
        self._calls: dict[tuple[str, int], Any] = {}
        self._seconds: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = request_id or uuid.uuid4().hex.encode()
        status = 500
        started = time.perf_counter()

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            self.observe(scope, self._route_of(scope), status, time.perf_counter() - started, request_id.decode())

    def observe(self, scope: Any, route: str, status: int, seconds: float, request_id: str) -> None:
        """Count and tell one call."""
        calls = self._calls.get((route, status))
        if calls is None:
            calls = self._calls[route, status] = CALLS.labels(route, status)
            self._seconds[route] = SECONDS.labels(route)
        calls.inc()
        self._seconds[route].observe(seconds)
        client = scope.get("client")
        log(scope["method"], scope["path"], route, status, seconds, request_id, client[0] if client else "-")


def _route_of(scope: Any) -> str:
    """Return the path template of the route that was taken."""
    route = scope.get("route")
    return getattr(route, "path", None) or scope.get("path_template") or "-"


def log(method: str, path: str, route: str, status: int, seconds: float, request_id: str, peer: str) -> None:
    """Write one line."""
    line = {
        "time": datetime.now(UTC),
        "level": "info",
        "event": "call",
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "request_id": request_id,
        "method": method,
        "path": path,
        "peer": peer,
    }
    os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
