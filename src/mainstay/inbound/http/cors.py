"""Cross-origin calls from web pages (Fetch standard, CORS protocol).

Whom the door lets read its answers is decided by the origin alone, so that every answer can say it, errors included.
``Vary: Origin`` stands on every answer that could have been another for another origin, also where none was sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.inbound.http.options import Cors

_EXPOSED = (
    "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, X-Request-ID, Idempotency-Replayed, "
    "Content-Disposition, Content-Range, Accept-Ranges, Deprecation, Sunset, Allow, Accept-Post, Accept-Patch"
)
"""What pages may read of an answer beside what they always may (Fetch, CORS-safelisted response-header names)."""

_ALLOWED = (
    "Authorization, Content-Type, Content-Encoding, Accept, If-Match, If-None-Match, If-Modified-Since, "
    "If-Unmodified-Since, If-Range, Range, Last-Event-ID, Idempotency-Key, X-Request-ID, traceparent, tracestate"
)


class CorsPolicy:
    """The blocks of header lines that an origin gets, made once. ``taken`` are header fields that operations take.

    An origin is compared byte for byte, since browsers send it in one form; a pattern ``https://*.shop.example`` fits
    exactly one label in place of the star. ``null`` is nobody's: it fits nothing but ``*``.
    """

    def __init__(self, cors: Cors, taken: Sequence[str] = ()) -> None:
        self._any = cors.origins == ("*",)
        self._cors = cors
        exact = [origin for origin in cors.origins if "*" not in origin or self._any]
        self._blocks = {origin.encode(): self._block(origin) for origin in exact}
        self._patterns = frozenset(_parts(origin.encode()) for origin in cors.origins if "*." in origin)
        self._private = b"Access-Control-Request-Private-Network" if cors.private_network else b""
        self._other = b"" if self._any else b"Vary: Origin\r\n"
        allowed = ", ".join(dict.fromkeys((_ALLOWED, *taken, *cors.headers)))
        self._preflight = (
            f"Access-Control-Allow-Headers: {allowed}\r\nAccess-Control-Max-Age: {cors.max_age}\r\n".encode()
        )

    def _block(self, origin: str) -> bytes:
        exposed = ", ".join(dict.fromkeys((_EXPOSED, *self._cors.expose)))
        lines = [f"Access-Control-Allow-Origin: {origin}", f"Access-Control-Expose-Headers: {exposed}"]
        if self._cors.credentials:
            lines.append("Access-Control-Allow-Credentials: true")
        if not self._any:
            lines.append("Vary: Origin")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def answer(self, origin: bytes | None) -> bytes:
        """Return the header lines for an answer to a page of this origin (None: no page asked)."""
        if origin is None:
            return self._other
        if self._any:
            return self._blocks[b"*"]
        known = self._blocks.get(origin)
        if known is not None:
            return known
        return self._block(origin.decode()) if self._fits(origin) else self._other

    def trusts(self, origin: bytes) -> bool:
        """Whether pages of an origin may call with what their browser sends by itself."""
        return self._cors.credentials and (origin in self._blocks or self._fits(origin))

    def _fits(self, origin: bytes) -> bool:
        """Whether an origin is one label before what a pattern names."""
        if not self._patterns:
            return False
        scheme, label, rest = _parts(origin)
        well_formed = label.replace(b"-", b"").isalnum() and label.isascii() and label == label.lower()
        return well_formed and (scheme, b"*", rest) in self._patterns

    def preflight(self, origin: bytes, allow: bytes, *, private: bool = False) -> bytes:
        """Return the further lines for a preflight: nothing where the origin is not allowed.

        ``private`` says that it asks to reach from a public network into a private one.
        """
        if not self._any and origin not in self._blocks and not self._fits(origin):
            return b""
        lines = b"Access-Control-Allow-Methods: " + allow + b"\r\n" + self._preflight
        if self._private:
            lines += b"Vary: " + self._private + b"\r\n"
            if private:
                lines += b"Access-Control-Allow-Private-Network: true\r\n"
        return lines


def _parts(origin: bytes) -> tuple[bytes, bytes, bytes]:
    """Split an origin into its scheme, the first label of its host, and the rest."""
    scheme, _, host = origin.partition(b"://")
    label, _, rest = host.partition(b".")
    return scheme, label, rest
