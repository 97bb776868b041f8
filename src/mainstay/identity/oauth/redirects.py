"""Where people may be sent back to: URLs that were listed, to the letter (RFC 9700, section 2.1; RFC 8252, 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlencode, urlsplit

MAX_URL = 2000

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")  # RFC 3986 without the fragment's sign
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # a domain of the app's owner, backwards
_LOOPBACK = ("127.0.0.1", "::1")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?=/|$)", re.IGNORECASE)


def redirect_fault(url: str) -> str | None:
    """Return why nobody may be redirected to a URL, or None.

    It is https; or http on a loopback address, or a scheme of an app's own (``com.example.app:/back``), for clients on
    a person's machine.
    """
    if len(url) > MAX_URL or _CHARACTERS.fullmatch(url) is None:
        return "it is too long, has a fragment, or characters that a URL has not"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no URL"
    if _APP_SCHEME.fullmatch(parts.scheme):
        return None if not parts.netloc else "a scheme of an app's own is followed by a path: com.example.app:/back"
    if not host or "@" in parts.netloc or "*" in host:
        return "it names no host, a user, or any host of many: each is listed by itself"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        return "it is neither https nor http on 127.0.0.1 or [::1]"
    if _DOTS.search(parts.path):
        return "its path has segments of dots"
    return None


def is_listed(url: str, listed: Sequence[str]) -> bool:
    """Whether a URL is one of those that are listed: the same text, but for the port of a loopback address."""
    return url in listed or (url.startswith("http://") and any(_same_but_port(url, one) for one in listed))


def _same_but_port(url: str, listed: str) -> bool:
    if redirect_fault(url) is not None:
        return False
    given, known = urlsplit(url), urlsplit(listed)
    return known.hostname in _LOOPBACK and _without_port(given) == _without_port(known)


def _without_port(parts: SplitResult) -> tuple[str, ...]:
    return parts.scheme, parts.hostname or "", parts.path, parts.query


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with parameters behind those that it has, which stay as they are written."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
