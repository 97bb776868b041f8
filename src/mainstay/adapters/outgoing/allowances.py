"""What the settings allow beyond public hosts: ``10.1.2.0/24``, ``[fd00::1]:8080``, ``service.internal``, ``*.svc``."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from mainstay.adapters.outgoing.addresses import Address
from mainstay.ports.http import AddressRefused
from mainstay.ports.http_target import host_of


class Allowance(msgspec.Struct, frozen=True):
    """One entry: a name (with a leading dot: all below it) or a network, at one port or (None) at any."""

    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def names(self, host: str, port: int) -> bool:
        """Whether a host is meant by its name."""
        fits = host.endswith(self.name) if self.name.startswith(".") else host == self.name
        return bool(self.name) and fits and self.port in (None, port)

    def holds(self, address: Address, port: int) -> bool:
        """Whether an address is in the network."""
        return self.network is not None and address in self.network and self.port in (None, port)


def allowances(entries: Sequence[str]) -> tuple[Allowance, ...]:
    """Return what the entries allow. Raises ``ValueError`` with the number of one that cannot be read."""
    made = []
    for number, entry in enumerate(entries, 1):
        try:
            made.append(_allowance(entry))
        except (ValueError, AddressRefused):
            raise ValueError(f"entry {number} is no network, address or name, with or without a port") from None
    return tuple(made)


def _allowance(entry: str) -> Allowance:
    host, port = _divided(entry)
    if host[:1].isdigit() or ":" in host:
        return Allowance(network=ip_network(host), port=port)
    below = host.startswith("*.")
    name, address = host_of(host[2:] if below else host)
    if address is not None:
        raise ValueError
    return Allowance(name=f".{name}" if below else name, port=port)


def _divided(entry: str) -> tuple[str, int | None]:
    """Return host and port. An IPv6 address with a port stands in brackets."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        if port and not port.startswith(":"):
            raise ValueError
        port = port[1:]
    elif entry.count(":") > 1:
        host, port = entry, ""
    else:
        host, colon, port = entry.partition(":")
        if colon and not port:
            raise ValueError
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError
    return host, int(port)
