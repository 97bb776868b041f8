"""Who is at the other end: the address of a client behind proxies, and the name under which limits count it.

Whatever a client writes into Forwarded (RFC 7239) or X-Forwarded-For arrives before what its proxies add, so both are
read from the right: each hop is believed only while the one that reported it is a listed proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple

from mainstay.inbound.http.hosts import parse_authority

_MAX_FIELD = 2048  # bytes that are read of a field, from its right end
_MAX_HOPS = 32
_MAX_NAME = 64
_REMEMBERED = 4096
_MAX_REMEMBERED_BYTES = 512  # honest fields are shorter; hostile ones shall not fill the memory

_PAIR = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+=(?:[A-Za-z0-9!#$%&'*+.^_`|~:\[\]-]+|\"[^\"\\]*\")"
_ELEMENT = re.compile(rf"{_PAIR}(?:;{_PAIR})*")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")

Header = Literal["forwarded", "x-forwarded-for"]
_Address = IPv4Address | IPv6Address


class Peer(NamedTuple):
    """The client of a request.

    ``scheme`` and ``host`` are what it called, where a proxy says so; else None.
    """

    address: str
    scheme: str | None = None
    host: str | None = None


class _Hop(NamedTuple):
    address: _Address
    scheme: str | None
    host: str | None


class ProxyTrust:
    """The proxies that are believed about their clients, by address or network (``"10.1.0.0/16"``).

    The client is the rightmost hop that is no listed proxy. A hop that cannot be read ends the search: the client is
    then the proxy that reported it. Where a request has both headers and they name different clients, neither is
    believed, for a proxy that keeps one of them passes on whatever a client wrote into the other; ``header`` names the
    one to read.

    Raises ``ValueError`` for what is no network.
    """

    def __init__(self, networks: Sequence[str], *, header: Header | None = None) -> None:
        try:
            self._networks = tuple(ip_network(network) for network in networks)
        except ValueError as error:
            raise ValueError(f"trusted proxies: {error}; expected addresses or networks like 10.1.0.0/16") from None
        self._header = header
        self._resolve = lru_cache(_REMEMBERED)(self._find)
        self._bucket = lru_cache(_REMEMBERED)(bucket)

    def client(self, address: str, headers: Mapping[bytes, bytes]) -> str:
        """Return the client's address, in its canonical form, of a connection from ``address``."""
        return self.peer(
            address,
            headers.get(b"forwarded"),
            headers.get(b"x-forwarded-for"),
            headers.get(b"x-forwarded-proto"),
            headers.get(b"x-forwarded-host"),
        ).address

    def bucket(self, address: str, headers: Mapping[bytes, bytes]) -> str:
        """Return the name under which limits count that client."""
        return self._bucket(self.client(address, headers))

    def peer(
        self,
        address: str,
        forwarded: bytes | None = None,
        x_forwarded_for: bytes | None = None,
        x_forwarded_proto: bytes | None = None,
        x_forwarded_host: bytes | None = None,
    ) -> Peer:
        """Return the client of a connection from ``address``. Several fields of one name are joined by commas."""
        if forwarded is None and x_forwarded_for is None:
            return self._resolve(address, None, None, None, None)
        size = len(forwarded or b"") + len(x_forwarded_for or b"") + len(x_forwarded_proto or b"")
        if size + len(x_forwarded_host or b"") > _MAX_REMEMBERED_BYTES:
            return self._find(address, forwarded, x_forwarded_for, x_forwarded_proto, x_forwarded_host)
        return self._resolve(address, forwarded, x_forwarded_for, x_forwarded_proto, x_forwarded_host)

    def _find(
        self,
        address: str,
        forwarded: bytes | None,
        x_forwarded_for: bytes | None,
        x_forwarded_proto: bytes | None,
        x_forwarded_host: bytes | None,
    ) -> Peer:
        nearest = _address(address)
        if nearest is None:
            return Peer(address)
        found = []
        if forwarded is not None and self._header != "x-forwarded-for":
            found.append(self._walk(nearest, _forwarded(forwarded)))
        if x_forwarded_for is not None and self._header != "forwarded":
            found.append(self._walk(nearest, _x_forwarded(x_forwarded_for, x_forwarded_proto, x_forwarded_host)))
        if not found or any(peer.address != found[0].address for peer in found):
            return Peer(str(nearest))
        return found[0]

    def _walk(self, nearest: _Address, hops: Iterator[_Hop]) -> Peer:
        peer = Peer(str(nearest))
        trusted = self._trusts(nearest)
        while trusted:
            hop = next(hops, None)
            if hop is None:
                break
            peer = Peer(str(hop.address), hop.scheme or peer.scheme, hop.host or peer.host)
            trusted = self._trusts(hop.address)
        return peer

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def bucket(address: str) -> str:
    """Return the name under which limits count an address: IPv4 whole, IPv6 by its /64, mapped IPv4 as IPv4.

    A subscriber has at least a /64 (RFC 6177), so that single IPv6 addresses would be no limit at all. What is no
    address (a socket's path, a test's name) is its own name, cut to 64 characters.
    """
    if ":" not in address:
        return address[:_MAX_NAME]
    found = _address(address)
    if found is None:
        return address[:_MAX_NAME]
    if found.version == 4:
        return str(found)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _address(text: str) -> _Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _node(text: str) -> _Address | None:
    """Return the address of a node, with or without port; None for ``unknown`` and for names that hide an address."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        return _address(bracketed[1])
    with_port = _WITH_PORT.fullmatch(text)
    return _address(with_port[1] if with_port is not None else text)


def _forwarded(field: bytes) -> Iterator[_Hop]:
    """Read Forwarded from the right, up to the first element that cannot be read.

    It is cut at every comma, quoted or not: no proxy writes a comma into an element, and a quotation mark that a client
    left open must not swallow what proxies added behind it.
    """
    for element in _from_the_right(field):
        if _ELEMENT.fullmatch(element) is None:
            return
        pairs = [pair.partition("=") for pair in element.split(";")]
        members = {name.lower(): value.strip('"') for name, _, value in pairs}
        node = _node(members.get("for", ""))
        if node is None or len(members) != len(pairs):
            return
        yield _Hop(node, _scheme(members.get("proto")), _host(members.get("host")))


def _x_forwarded(field: bytes, proto: bytes | None, host: bytes | None) -> Iterator[_Hop]:
    """Read X-Forwarded-For from the right; proto and host stand beside it, one for each hop or one for all."""
    nodes = list(_from_the_right(field))
    protos, hosts = (list(_from_the_right(other or b"")) for other in (proto, host))
    for number, text in enumerate(nodes):
        node = _node(text)
        if node is None:
            return
        yield _Hop(node, _scheme(_beside(number, protos, nodes)), _host(_beside(number, hosts, nodes)))


def _beside(number: int, values: list[str], nodes: list[str]) -> str | None:
    if len(values) == len(nodes):
        return values[number]
    return values[0] if values else None


def _from_the_right(field: bytes) -> Iterator[str]:
    if len(field) > _MAX_FIELD:
        field = field[-_MAX_FIELD:].partition(b",")[2]
    parts = field.decode("latin-1").split(",")
    for part in parts[: -_MAX_HOPS - 1 : -1]:
        text = part.strip(" \t")
        if text:  # an empty element of a list counts for nothing (RFC 9110, section 5.6.1)
            yield text


def _scheme(text: str | None) -> str | None:
    lowered = (text or "").lower()
    return lowered if lowered in ("http", "https") else None


def _host(text: str | None) -> str | None:
    return text if text is not None and parse_authority(text) is not None else None
