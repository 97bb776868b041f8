"""Cross-origin calls from web pages (Fetch standard, CORS protocol)."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.inbound.http.options import Cors

_EXPOSED = (
    "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, X-Request-ID, Idempotency-Replayed, "
    "Content-Disposition, Deprecation, Sunset"
)
_ALLOWED = (
    "Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, X-Request-ID, traceparent, "
    "tracestate"
)


class CorsPolicy:
    """The blocks of header lines that an origin gets, made once. ``taken`` are header fields that operations take."""

    def __init__(self, cors: Cors, taken: Sequence[str] = ()) -> None:
        self._any = cors.origins == ("*",)
        self._blocks = {origin.encode(): self._block(origin, cors.credentials) for origin in cors.origins}
        self._other = b"" if self._any else b"Vary: Origin\r\n"
        allowed = ", ".join(dict.fromkeys((_ALLOWED, *taken, *cors.headers)))
        self._preflight = (
            f"Access-Control-Allow-Headers: {allowed}\r\nAccess-Control-Max-Age: {cors.max_age}\r\n".encode()
        )

    def _block(self, origin: str, credentials: bool) -> bytes:
        lines = [f"Access-Control-Allow-Origin: {origin}", f"Access-Control-Expose-Headers: {_EXPOSED}"]
        if credentials:
            lines.append("Access-Control-Allow-Credentials: true")
        if not self._any:
            lines.append("Vary: Origin")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def answer(self, origin: bytes | None) -> bytes:
        """Return the header lines for an answer to a page of this origin (None: no page asked)."""
        if origin is None:
            return self._other
        return self._blocks[b"*"] if self._any else self._blocks.get(origin, self._other)

    def preflight(self, origin: bytes, allow: bytes) -> bytes:
        """Return the further lines for a preflight: nothing where the origin is not allowed."""
        if not self._any and origin not in self._blocks:
            return b""
        return b"Access-Control-Allow-Methods: " + allow + b"\r\n" + self._preflight
