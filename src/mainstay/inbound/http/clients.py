"""Clients by their certificates (mutual TLS): the name that one stands for, and the principal that its calls begin as.

The chain was verified in the handshake, against the authorities of the settings. A certificate is asked for one kind of
name only, so that who may choose another of its names gains nothing by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from mainstay.inbound.http.exchange import Exchange
from mainstay.model.principal import Principal

NameKind = Literal["spiffe", "dns", "subject"]
Receive = Callable[[bytes, bytes, dict[bytes, bytes], str, str], Exchange]
_SCHEME = "spiffe://"
_LONGEST = 2048  # characters of a SPIFFE ID (SPIFFE-ID, section 2.3)
_VISIBLE = frozenset(map(chr, range(0x20, 0x7F)))


class Clients(msgspec.Struct, frozen=True):
    """How a server knows its clients. ``authenticates``: a certificate is enough, no token is needed beside it."""

    kind: NameKind
    authenticates: bool = False

    def of(self, transport: asyncio.BaseTransport) -> Principal | None:
        """Return as whom the calls of a connection begin; None where it has no certificate with such a name."""
        name = name_of(transport.get_extra_info("peercert") or {}, self.kind)
        if name is None:
            return None
        if not self.authenticates:
            return Principal.anonymous.connected_by(name)
        return Principal(id=uuid5(NAMESPACE_URL, f"certificate:{name}"), subject=name, certificate=name)


def name_of(certificate: Mapping[str, Any], kind: NameKind) -> str | None:
    """Return the name of one kind in a certificate (as ``ssl.SSLSocket.getpeercert`` tells it), or None.

    ``spiffe`` is the one URI of an X.509-SVID (two are refused, as the specification has it), ``dns`` the first host,
    in lower case, ``subject`` the attributes from the most general to the most special, as ``C=DE, O=Shop, CN=till``.
    A name of other than visible ASCII characters is none: it could be taken for another.
    """
    match kind:
        case "spiffe":
            uris = _alternatives(certificate, "URI")
            name = uris[0] if len(uris) == 1 and uris[0].startswith(_SCHEME) and len(uris[0]) <= _LONGEST else None
        case "dns":
            hosts = _alternatives(certificate, "DNS")
            name = hosts[0].lower() if hosts and "*" not in hosts[0] else None
        case "subject":
            name = _subject(certificate)
    return name if name and _VISIBLE.issuperset(name) else None


def _alternatives(certificate: Mapping[str, Any], kind: str) -> list[str]:
    return [value for one, value in certificate.get("subjectAltName", ()) if one == kind]


_SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
}


def _subject(certificate: Mapping[str, Any]) -> str | None:
    """Return the subject as one text. One whose values hold what stands between attributes is none."""
    pairs = [pair for attributes in certificate.get("subject", ()) for pair in attributes]
    if any(mark in value for _, value in pairs for mark in ",=+\\"):
        return None
    return ", ".join(f"{_SHORT.get(name, name)}={value}" for name, value in pairs)


def received_from(who: Principal, receive: Receive) -> Receive:
    """Return what takes the heads of a connection whose calls begin as a principal."""

    def received(method: bytes, target: bytes, headers: dict[bytes, bytes], address: str, peer: str) -> Exchange:
        exchange = receive(method, target, headers, address, peer)
        if exchange.call is not None:
            exchange.call.principal = who
        return exchange

    return received
