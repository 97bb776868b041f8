"""The PROXY protocol, versions 1 and 2: a listed proxy says first whom a connection is from.

Format: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. A proxy that is listed must say it on every
connection, for what it leaves out a client could say in its place; from others it is refused, as no HTTP begins so.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from mainstay.inbound.http.connections import Connections, address_of
from mainstay.inbound.http.protocol import HttpProtocol
from mainstay.inbound.http.turnstile import Gate

_V1 = b"PROXY "
_V1_LONGEST = 107  # bytes with CRLF, as the specification has it
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEAD = 16
_V2_LONGEST = 4096  # bytes behind the head; what proxies add about TLS stays far below
_V2_SIZES = {0x11: 12, 0x21: 36}  # addresses and ports of TCP over IPv4 and IPv6


class Introduction(NamedTuple):
    """What a proxy said: the client's address, "" where it speaks for itself, and how many bytes that took."""

    address: str
    size: int


def read_introduction(data: bytes) -> Introduction | None:
    """Read what a connection begins with. Returns None where that has not all come yet.

    Raises ``ValueError`` for what is neither version 1 nor version 2, or is longer than it may be.
    """
    if data.startswith(_V2[: len(data)]):
        return _read_v2(data)
    if data.startswith(_V1[: len(data)]):
        return _read_v1(data)
    raise ValueError("it is neither version 1 nor version 2 of the PROXY protocol")


def _read_v1(data: bytes) -> Introduction | None:
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST or not data.removesuffix(b"\r").isascii() or b"\n" in data:
            raise ValueError("version 1: a line of at most 107 bytes was expected")
        return None
    parts = data[:end].decode("ascii").split(" ")
    if parts[1] == "UNKNOWN":
        return Introduction("", end + 2)
    if len(parts) != 6 or parts[1] not in ("TCP4", "TCP6"):
        raise ValueError("version 1: TCP4, TCP6 or UNKNOWN, two addresses and two ports were expected")
    made = IPv4Address if parts[1] == "TCP4" else IPv6Address
    client, _ = made(parts[2]), made(parts[3])
    for port in parts[4:]:
        if not port.isdigit() or port != str(int(port)) or int(port) > 65535:
            raise ValueError("version 1: a port is none")
    if "%" in parts[2]:
        raise ValueError("version 1: an address has a zone")
    return Introduction(str(client), end + 2)


def _read_v2(data: bytes) -> Introduction | None:
    if len(data) < _V2_HEAD:
        return None
    kind, family = data[12], data[13]
    size = int.from_bytes(data[14:16], "big")
    if kind not in (0x20, 0x21):
        raise ValueError("version 2: the version or the command is unknown")
    if size > _V2_LONGEST:
        raise ValueError(f"version 2: more than {_V2_LONGEST} bytes follow the head")
    if len(data) < _V2_HEAD + size:
        return None
    body = data[_V2_HEAD : _V2_HEAD + size]
    if kind == 0x20 or family == 0:  # the proxy's own connection, or one that it knows nothing of
        return Introduction("", _V2_HEAD + size)
    addresses = _V2_SIZES.get(family)
    if addresses is None or size < addresses:
        raise ValueError("version 2: addresses of TCP over IPv4 or IPv6 were expected")
    _check_vectors(body[addresses:])
    client = IPv4Address(body[:4]) if addresses == 12 else IPv6Address(body[:16])
    return Introduction(str(client), _V2_HEAD + size)


def _check_vectors(rest: bytes) -> None:
    """Check that what follows the addresses is types, lengths and values, to the last byte."""
    at = 0
    while at < len(rest):
        at += 3 + int.from_bytes(rest[at + 1 : at + 3], "big")
    if at != len(rest):
        raise ValueError("version 2: what follows the addresses is cut short")


class Introduced(asyncio.Protocol):
    """A connection whose first words may be a proxy's. It becomes one of HTTP when they have been heard."""

    __slots__ = ("_heard", "_loop", "_shared", "_since", "_transport")

    def __init__(self, shared: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self._shared = shared
        self._loop = loop
        self._transport: Any = None
        self._heard = b""
        self._since = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: with HTTP at once where no proxy is at the other end."""
        self._transport = transport
        address = address_of(transport)
        self._shared.open.add(self)
        self._since = self._shared.beat.now
        if not self._shared.tally.is_proxy(address):
            self._hand_over(address, b"")

    def data_received(self, data: bytes) -> None:
        """Take the proxy's words."""
        self._heard += data
        try:
            found = read_introduction(self._heard)
        except ValueError:
            self._shared.tally.misled += 1
            self.abort()
            return
        if found is not None:
            self._hand_over(found.address or address_of(self._transport), self._heard[found.size :])

    def _hand_over(self, address: str, rest: bytes) -> None:
        transport, shared = self._transport, self._shared
        shared.open.discard(self)
        inner = HttpProtocol(shared, self._loop, address)
        transport.set_protocol(inner)
        inner.connection_made(transport)
        if rest:
            transport.get_protocol().data_received(rest)  # a turnstile may stand before it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the form of a protocol
        """End, nothing having been asked."""
        self._shared.leave(self, "")

    def sweep(self) -> None:
        """End a connection whose proxy does not say whom it is from."""
        if self._shared.beat.now - self._since > self._shared.door.options.header_timeout:
            self.abort()

    def idle_for(self) -> int:
        """Return for how many seconds nothing has been said."""
        return self._shared.beat.now - self._since

    def close_idle(self) -> None:
        """End."""
        self.abort()

    def retire(self) -> None:
        """End: nothing has been asked."""
        self.abort()

    def abort(self) -> None:
        """Cut off."""
        self._transport.abort()

    def step_behind(self, gate: Gate) -> None:
        """There is no input for a turnstile yet."""
