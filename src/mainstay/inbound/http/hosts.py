"""Which hosts a door answers for (RFC 9110, sections 7.2 and 15.5.20)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from mainstay.inbound.http.problems import Misdirected

_REMEMBERED = 1024
_MAX_AUTHORITY = 270  # a name has at most 253 characters (RFC 1035), a port five
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SCHEME_AND_AUTHORITY = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)

LOCAL = ("localhost", "*.localhost")
"""The names of this machine (RFC 6761, section 6.3): no other's page can make its own name one of them."""


class Authority(NamedTuple):
    """A host in its one form, and the port where one is said.

    A name is in lower case without the dot at its end, an address as the standard library writes it.
    """

    host: str
    port: int | None
    address: bool


def parse_authority(text: str) -> Authority | None:
    """Return what a Host field or the authority of a request target names; None for what is no host."""
    if len(text) > _MAX_AUTHORITY:
        return None
    if text.startswith("["):
        inner, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    else:
        inner, rest, port = text.partition(":")
    if rest and port and (_PORT.fullmatch(port) is None or int(port) > 65535):
        return None
    return _authority(inner, int(port) if port else None, bracketed=text.startswith("["))


def _authority(host: str, port: int | None, *, bracketed: bool) -> Authority | None:
    try:
        address = ip_address(host)
    except ValueError:
        if bracketed:
            return None
    else:
        if isinstance(address, IPv6Address) is not bracketed or "%" in host:
            return None
        return Authority(str(address), port, True)
    name = host.removesuffix(".").lower()
    return Authority(name, port, False) if len(name) <= 253 and _NAME.fullmatch(name) else None


class HostPolicy:
    """The hosts that are answered for: ``api.shop.example``, ``*.shop.example``, ``[::1]``, each with a port or any.

    ``*`` stands for one label, as in a certificate (RFC 9525, section 6.3): ``*.shop.example`` is neither
    ``shop.example`` nor ``a.b.shop.example``. ``addresses`` answers for every address as well: what has no name cannot
    be given another. Raises ``ValueError`` for what is no host.
    """

    def __init__(self, hosts: Sequence[str], *, addresses: bool = False) -> None:
        self._addresses = addresses
        self._exact: set[tuple[str, int | None]] = set()
        self._below: set[tuple[str, int | None]] = set()
        for host in hosts:
            below = host.startswith("*.")
            found = parse_authority(host[2:] if below else host)
            if found is None or (below and found.address):
                raise ValueError(f"hosts: {host!r}: expected a host like api.shop.example, *.shop.example or [::1]")
            (self._below if below else self._exact).add((found.host, found.port))
        self._known = lru_cache(_REMEMBERED)(self._allows)

    def allows(self, authority: str) -> bool:
        """Whether a host, with or without a port, is answered for."""
        return len(authority) <= _MAX_AUTHORITY and self._known(authority)

    def _allows(self, authority: str) -> bool:
        found = parse_authority(authority)
        if found is None:
            return False
        if found.address:
            return self._addresses or self._is_in(self._exact, found.host, found.port)
        parent = found.host.partition(".")[2]
        return self._is_in(self._exact, found.host, found.port) or self._is_in(self._below, parent, found.port)

    @staticmethod
    def _is_in(hosts: set[tuple[str, int | None]], host: str, port: int | None) -> bool:
        return (host, None) in hosts or (host, port) in hosts

    def check(self, target: bytes, host: bytes | None, called: str | None = None) -> None:
        """Refuse a request for a host that is not answered for. Raises ``Misdirected``.

        ``target`` is the request target: where it has an authority, that must be answered for as well as the Host
        field. ``called`` is the host that a listed proxy says was called, which stands for the Host field then.
        """
        absolute = None if target[:1] == b"/" else _SCHEME_AND_AUTHORITY.match(target)
        if absolute is not None and not self.allows(absolute[1].decode("latin-1")):
            raise Misdirected
        said = called if called is not None else (host or b"").decode("latin-1")
        if not self.allows(said):
            raise Misdirected
