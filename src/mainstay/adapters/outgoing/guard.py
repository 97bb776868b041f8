"""The guard of outgoing calls: a name is resolved once, and all that it leads to is judged before anything is sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from mainstay.adapters.outgoing.addresses import Address, Special, is_inside, plain, special
from mainstay.adapters.outgoing.allowances import Allowance
from mainstay.ports.http import AddressRefused, HttpFailed

MAX_ADDRESSES = 32
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to its addresses, as text. Raises ``OSError`` where there are none."""
Listening = Collection[tuple[str, int]]
"""Where this service listens: hosts as they are bound, and ports."""


async def system_resolver(name: str) -> Sequence[str]:
    """Return the addresses of a name in the order in which they should be tried (RFC 6724)."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Says which addresses may be connected to for a host and a port.

    ``ports`` are those that public hosts may be called at. ``allowed`` is what the settings allow beyond: a network, or
    a name whose addresses may be private ones. An address of the metadata of a cloud takes an entry of its own, and so
    does the port of the place where this service itself listens.
    """

    def __init__(
        self,
        allowed: Sequence[Allowance] = (),
        *,
        ports: Collection[int] = (80, 443),
        listening: Listening = (),
        resolve: Resolve | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._ports = frozenset(ports)
        self._own = {port: host for host, port in listening}
        self._resolve = resolve or system_resolver

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host, each of which may be connected to, in the order in which to try them.

        Raises ``AddressRefused`` where one of them may not, ``HttpFailed`` where there is none.
        """
        found = await self._found(host)
        named = any(allowance.names(host, port) for allowance in self._allowed)
        for address in found:
            self._judge(address, port, named=named)
        return found

    async def _found(self, host: str) -> Sequence[Address]:
        try:
            return [plain(ip_address(host))]
        except ValueError:
            pass
        try:
            texts = await self._resolve(host)
            found = [plain(ip_address(text)) for text in dict.fromkeys(texts)]
        except (OSError, ValueError) as error:
            raise HttpFailed(f"the name is not resolved: {type(error).__name__}") from None
        if not 0 < len(found) <= MAX_ADDRESSES:
            raise HttpFailed(f"the name has {len(found)} addresses, expected 1 to {MAX_ADDRESSES}")
        return found

    def _judge(self, address: Address, port: int, *, named: bool) -> None:
        """Raise ``AddressRefused`` for an address that may not be connected to."""
        holding = [allowance for allowance in self._allowed if allowance.holds(address, port)]
        if port in self._own and not any(allowance.port for allowance in holding) and self._is_own(address, port):
            raise AddressRefused("this service listens there itself")
        why = special(address)
        if why is Special.METADATA:
            if not any(each.network is not None and each.network.num_addresses == 1 for each in holding):
                raise AddressRefused(why)
        elif why is None:
            if not holding and not named and port not in self._ports:
                raise AddressRefused(f"port {port} is none of those that may be called")
        elif not holding and not (named and is_inside(why)):
            raise AddressRefused(why)

    def _is_own(self, address: Address, port: int) -> bool:
        bound = self._own[port]
        try:
            place = plain(ip_address(bound.strip("[]")))
        except ValueError:
            return _is_here(address)  # a name: whichever of this machine's addresses it is
        return _is_here(address) if place.is_unspecified else address == place


def _is_here(address: Address) -> bool:
    """Whether an address is one of this machine: such a one can be bound."""
    if isinstance(address, IPv4Address) and address.is_loopback:
        return True
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
