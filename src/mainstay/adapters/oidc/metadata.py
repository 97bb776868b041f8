"""What an issuer publishes of itself (OpenID Connect Discovery 1.0, section 4; RFC 8414) and how long it is fresh.

Whoever stands between us and the issuer may send another document: it must come over TLS, be of the very issuer that
was asked, and name places that are reached by TLS too.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import msgspec

from mainstay.ports.http import HttpAnswer, HttpClient

MAX_DOCUMENT = 256 * 1024  # bytes
SECONDS = 5.0  # for one document
LEAST_FRESH = 60.0  # seconds
USUAL_FRESH = 3600.0
MOST_FRESH = 86_400.0

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})", re.ASCII | re.IGNORECASE)


class IssuerFaulty(ValueError):
    """What an issuer publishes cannot be used; the message says why."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The members of the document that are looked at here."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False
    token_endpoint_auth_methods_supported: list[str] | None = None

    def places(self) -> tuple[tuple[str, str], ...]:
        """Return the URLs that are called, or that browsers are sent to, each with the name of its member."""
        named = (
            ("jwks_uri", self.jwks_uri),
            ("authorization_endpoint", self.authorization_endpoint),
            ("token_endpoint", self.token_endpoint),
        )
        return tuple((name, url) for name, url in named if url)


def url_fault(url: str, *, loopback: bool) -> str | None:
    """Return why a URL of an issuer is not to be called, or None. ``loopback`` lets plain http be of this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no URL"
    if not url.isprintable() or not url.isascii() or " " in url or "\\" in url:
        return "it has characters that a URL has not"
    if not host or "@" in parts.netloc:
        return "it names no host, or a user"
    if parts.fragment or "#" in url:
        return "it has a fragment"
    if parts.scheme != "https" and not (loopback and parts.scheme == "http" and is_loopback(host)):
        return "it is not https"
    return None


def issuer_fault(url: str, *, loopback: bool) -> str | None:
    """Return why a URL names no issuer (OpenID Connect Core, section 2: no query, no fragment), or None."""
    return url_fault(url, loopback=loopback) or ("it has a query" if "?" in url else None)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def documents_of(issuer: str) -> tuple[str, str]:
    """Return where an issuer's document is: where OpenID Connect puts it, then where RFC 8414 does."""
    parts: SplitResult = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{base}{path}/.well-known/openid-configuration",
        f"{base}/.well-known/oauth-authorization-server{path}",
    )


async def fetch_metadata(http: HttpClient, issuer: str, *, loopback: bool) -> Metadata:
    """Return the document of an issuer. Raises ``IssuerFaulty``, or ``HttpFailed`` where it does not answer."""
    for url in documents_of(issuer):
        answer = await get_json(http, url, missing=True)
        if answer is not None:
            return _checked(answer.body, issuer, loopback=loopback)
    raise IssuerFaulty("it publishes no document about itself (OpenID Connect Discovery, RFC 8414)")


async def get_json(http: HttpClient, url: str, *, missing: bool = False) -> HttpAnswer | None:
    """Fetch a document. Where it may be ``missing``, None for one that is not there. Raises ``IssuerFaulty``."""
    headers = {"accept": "application/json"}
    answer = await http.request("GET", url, headers=headers, seconds=SECONDS, max_body=MAX_DOCUMENT)
    if missing and answer.status in (404, 410):
        return None
    if answer.status != 200:
        raise IssuerFaulty(f"{urlsplit(url).path} was answered with the status {answer.status}")
    return answer


def _checked(body: bytes, issuer: str, *, loopback: bool) -> Metadata:
    try:
        metadata = msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IssuerFaulty("its document is not the JSON that OpenID Connect Discovery describes") from None
    if metadata.issuer != issuer:
        # RFC 8414, section 3.3: otherwise one issuer could answer for another.
        raise IssuerFaulty("its document names another issuer")
    for name, url in metadata.places():
        fault = url_fault(url, loopback=loopback)
        if fault is not None:
            raise IssuerFaulty(f"the {name} of its document cannot be used: {fault}")
    return metadata


def fresh_seconds(answer: HttpAnswer) -> float:
    """Return for how long an answer is fresh (RFC 9111, section 4.2), within the bounds of this module."""
    control = answer.headers.get("cache-control", "")
    found = _MAX_AGE.search(control)
    if "no-store" in control.lower() or "no-cache" in control.lower():
        return LEAST_FRESH
    if found is None:
        return USUAL_FRESH
    age = answer.headers.get("age", "0").strip()
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(int(found[1]) - spent, LEAST_FRESH), MOST_FRESH)
