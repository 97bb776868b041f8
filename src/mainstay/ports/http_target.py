"""URLs that are called, read strictly: one way to read each, or none (RFC 3986, without what only browsers take)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

import msgspec

from mainstay.ports.http import AddressRefused

MAX_URL = 8192
PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
Address = IPv4Address | IPv6Address

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]*)?(?:#[!-~]*)?"
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_REFERENCE = re.compile(r"[!-~]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


class Target(msgspec.Struct, frozen=True):
    """Where a request goes. ``host`` is a lower-case name, or an address as text, an IPv6 one without brackets.

    ``path`` is what stands in the request line: path and query. ``address`` is that of a host which is one.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454)."""
        return f"{self.scheme}://{self._named}:{self.port}"

    @property
    def authority(self) -> str:
        """What the Host header says (RFC 9110, section 7.2)."""
        return self._named if self.port == PORTS[self.scheme] else f"{self._named}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def _named(self) -> str:
        return f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host


def target_of(url: str) -> Target:
    """Return where a URL leads. Raises ``AddressRefused`` for one that is not plain http or https.

    User information, an empty or odd port, characters beyond ASCII (a name of other letters is written as ``xn--``), a
    zone, a dot at the end of a name, and IPv4 addresses that are no four decimal numbers are refused.
    """
    match = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if match is None:
        raise AddressRefused("the URL is none of the form http(s)://host[:port]/path?query, without user information")
    scheme = match["scheme"].lower()
    if scheme not in PORTS:
        raise AddressRefused("the URL is neither http nor https")
    port = PORTS[scheme] if match["port"] is None else int(match["port"])
    if not 0 < port <= 65535:
        raise AddressRefused("the port of the URL is none")
    path = (match["path"] or "/") + (match["query"] or "")
    if _BAD_ESCAPE.search(path):
        raise AddressRefused("a per cent sign of the URL is followed by no two hexadecimal digits")
    host, address = host_of(match["host"])
    return Target(scheme, host, port, path, address)


def host_of(text: str) -> tuple[str, Address | None]:
    """Return a host in its one spelling, and its address where it is one. Raises ``AddressRefused``."""
    if text.startswith("["):
        try:
            six = IPv6Address(text[1:-1])
        except ValueError:
            raise AddressRefused("what stands in brackets is no IPv6 address") from None
        return str(six), six
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            four = IPv4Address(text)
        except ValueError:
            raise AddressRefused("an IPv4 address is four decimal numbers without leading zeros") from None
        return str(four), four
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the host of the URL is no name: labels of letters, digits, - and _, with a dot between")
    return text.lower(), None


def redirected(source: Target, location: str) -> Target:
    """Return where an answer of ``source`` with this Location leads (RFC 9110, section 10.2.2).

    Raises ``AddressRefused`` for what ``target_of`` refuses, and for the way from https to http.
    """
    target = target_of(_resolved(source, location) if _REFERENCE.fullmatch(location) else "")
    if source.scheme == "https" and target.scheme == "http":
        raise AddressRefused("the redirect leads from https to http")
    return target


def _resolved(source: Target, reference: str) -> str:
    """Return the URL that a reference stands for (RFC 3986, section 5.2)."""
    reference = reference.partition("#")[0]
    if _SCHEME.match(reference):
        return reference
    if reference.startswith("//"):
        return f"{source.scheme}:{reference}"
    base = source.path.partition("?")[0]
    if not reference:
        return source.url
    if reference.startswith("?"):
        return f"{source.scheme}://{source.authority}{base}{reference}"
    path, mark, query = reference.partition("?")
    whole = path if path.startswith("/") else base.rpartition("/")[0] + "/" + path
    return f"{source.scheme}://{source.authority}{_without_dots(whole)}{mark}{query}"


def _without_dots(path: str) -> str:
    """Return a path without the segments ``.`` and ``..`` (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
