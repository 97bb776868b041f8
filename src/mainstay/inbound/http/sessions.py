"""Sessions of browsers: a cookie in, a cookie out, and no other site's page that could use it (RFC 6265bis).

A browser sends the cookie with whatever any page makes it send. So a call that changes something counts by its cookie
only where the browser itself says that a page of ours, or of an origin that is allowed, has made it; where it says
nothing, as browsers before 2020 may, the page must show that it can read what we answered (a token in a header).
"""

from __future__ import annotations

import hmac

from mainstay.inbound.http.cors import CorsPolicy
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.options import HttpOptions, SessionCookie
from mainstay.kernel.call import Call
from mainstay.ports.answering import Keep
from mainstay.ports.tokens import SESSION_MARK, CrossSiteRefused, forgery_token

FORGERY_FIELD = b"x-csrf-token"


class Sessions:
    """The session cookie of a door. ``cors`` knows the other origins whose pages may call with credentials."""

    def __init__(self, cookie: SessionCookie, cors: CorsPolicy | None) -> None:
        self._name = cookie.name.encode() + b"="
        self._cors = cors
        secure = "; Secure" if cookie.secure else ""
        self._rest = f"; Path=/{secure}; HttpOnly; SameSite={cookie.same_site}\r\n".encode()

    def present(self, exchange: Exchange, call: Call, *, changes: bool) -> None:
        """Take the session of a request that has no other credentials. Raises ``CrossSiteRefused``."""
        secret = self._secret(exchange.headers[b"cookie"])
        if secret is None:
            return
        if changes and not self._may_change(exchange, secret):
            raise CrossSiteRefused
        call.credentials = secret

    def _secret(self, field: bytes) -> bytes | None:
        """Return the secret in a Cookie field. Of several none counts: one of them was put there by another."""
        name = self._name
        found = [pair for pair in (part.strip() for part in field.split(b";")) if pair.startswith(name)]
        value = found[0][len(name) :] if len(found) == 1 else b""
        return value if value.startswith(SESSION_MARK) else None

    def _may_change(self, exchange: Exchange, secret: bytes) -> bool:
        """Whether a page of ours has made a request, or one of an origin that may call with credentials."""
        headers = exchange.headers
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site == b"same-origin":
            return True
        if origin is not None:
            trusted = self._cors is not None and self._cors.trusts(origin)
            return trusted or (site is None and _is_own(exchange, origin))
        if site is not None:
            return False
        return hmac.compare_digest(headers.get(FORGERY_FIELD, b""), forgery_token(secret).encode())

    def line(self, keep: Keep) -> bytes:
        """Return the header line by which a browser keeps a session, or lets go of it."""
        return b"Set-Cookie: %b%b; Max-Age=%d%b" % (self._name, keep.value.encode("ascii"), keep.seconds, self._rest)


def sessions_of(options: HttpOptions, cors: CorsPolicy | None) -> Sessions | None:
    """Return the sessions of a door; None where cookies say nothing."""
    return None if options.session is None else Sessions(options.session, cors)


def _is_own(exchange: Exchange, origin: bytes) -> bool:
    """Whether an origin is that of the request's own target; by TLS only where the request came by TLS."""
    scheme, _, host = origin.partition(b"://")
    called = exchange.headers.get(b"host", b"") if exchange.authority is None else exchange.authority.encode("latin-1")
    return host == called.lower() and (scheme == b"https" or (scheme == b"http" and not exchange.secure))
