"""What every HTTP client does of itself: requests that say no more than was meant, and redirects that carry nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from mainstay.ports.http import HttpAnswer, HttpFailed, RequestRefused
from mainstay.ports.http_target import Target, redirected, target_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HEADERS = 100
MAX_HEADER = 16 * 1024  # bytes of one value
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
# What frames a message, or is said to the next hop only, is not the caller's to say (RFC 9110, section 7.6.1).
_OURS = frozenset(
    (
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
# What may be said to another origin than the one that it was meant for: nothing that could be a credential.
_CARRIED = frozenset(("accept", "accept-language", "content-type", "traceparent", "user-agent", "x-request-id"))


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was checked: its header fields by lower-case name. A representation shows none, and no query."""

    method: str
    target: Target
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.target.origin}>"


Send = Callable[[HttpRequest], Awaitable[HttpAnswer]]


def request_of(method: str, url: str, headers: Mapping[str, str] | None, body: bytes) -> HttpRequest:
    """Return a request that says no more than was meant. Raises ``AddressRefused`` and ``RequestRefused``."""
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise RequestRefused("the method is no token (RFC 9110, section 9), or CONNECT")
    given: dict[str, str] = {}
    for name, value in (headers or {}).items():
        low = name.lower()
        if not _TOKEN.fullmatch(name) or len(value) > MAX_HEADER or not _VALUE.fullmatch(value):
            raise RequestRefused("a header is no name and a value of printable ASCII characters in one line")
        if low in _OURS or low in given:
            raise RequestRefused(f"the header {low} is said twice, or is the client's own to say")
        given[low] = value
    if len(given) > MAX_HEADERS:
        raise RequestRefused(f"there are more than {MAX_HEADERS} headers")
    return HttpRequest(method=method, target=target_of(url), headers=given, body=body)


async def exchange(send: Send, request: HttpRequest, redirects: int) -> HttpAnswer:
    """Send a request and follow redirects, at most so many; with 0 a redirect is the answer.

    Raises what ``send`` raises, ``AddressRefused`` for a redirect that leads where it may not, ``HttpFailed`` for one
    too many.
    """
    for _ in range(redirects):
        answer = await send(request)
        location = answer.headers.get("location")
        if answer.status not in REDIRECTS or location is None:
            return answer
        request = _followed(request, answer.status, location)
    answer = await send(request)
    if redirects and answer.status in REDIRECTS and "location" in answer.headers:
        raise HttpFailed(f"there are more than {redirects} redirects")
    return answer


def _followed(request: HttpRequest, status: int, location: str) -> HttpRequest:
    """Return the request that a redirect asks for: after 303, and after 301 and 302 of a POST, a GET (RFC 9110)."""
    target = redirected(request.target, location)
    method, headers, body = request.method, dict(request.headers), request.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
        headers = {name: value for name, value in headers.items() if not name.startswith("content-")}
    if target.origin != request.target.origin:
        if body:
            raise HttpFailed("the redirect would carry the body to another origin")
        headers = {name: value for name, value in headers.items() if name in _CARRIED}
    return HttpRequest(method=method, target=target, headers=headers, body=body)
