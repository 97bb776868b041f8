"""How many connections there may be, in all and of one client, and what one too many is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.peer import bucket
from mainstay.inbound.http.problems import TooManyConnections, document
from mainstay.inbound.http.wire import CLOSE, length_line, status_line
from mainstay.ports.observer import Notice

_REMEMBERED = 1024
_RETRY = 1  # seconds
LINGERING = 256
"""Connections that are refused and given time to read why; more are cut off."""


class Crowd:
    """Counts connections by the names under which limits count their clients; listed proxies are not counted so.

    ``most`` is how many there may be in all. ``refused`` are those turned away since they were last told of.
    """

    def __init__(self, options: HttpOptions) -> None:
        self.most = options.max_connections
        self._most_each = options.max_connections_per_address
        self._networks = tuple(ip_network(one) for one in options.trusted_proxies)
        self._is_proxy = lru_cache(_REMEMBERED)(self._find_proxy)
        self._counts: dict[str, int] = {}
        self._body = document(TooManyConnections(), 503, options.problem_base)
        self.refused = 0
        self.misled = 0  # connections of listed proxies that did not say whom they are from, since the last time

    def is_proxy(self, address: str) -> bool:
        """Whether an address is that of a listed proxy."""
        return bool(self._networks) and self._is_proxy(address)

    def _find_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._networks)

    def full(self, total: int) -> bool:
        """Whether there are as many connections as there may be."""
        return total >= self.most

    def enter(self, address: str) -> str | None:
        """Count a connection from an address. Returns the name to ``leave`` by, "" for none, None for one too many."""
        if not self._most_each or self.is_proxy(address):
            return ""
        name = bucket(address)
        count = self._counts.get(name, 0)
        if count >= self._most_each:
            return None
        self._counts[name] = count + 1
        return name

    def leave(self, name: str) -> None:
        """Take note that a connection is no more."""
        if name:
            left = self._counts[name] - 1
            if left:
                self._counts[name] = left
            else:
                del self._counts[name]

    def refusal(self, lines: bytes, date: bytes) -> bytes:
        """Count a connection that is turned away, and return what it is told."""
        self.refused += 1
        return b"".join(
            (
                status_line(503),
                b"Content-Type: application/problem+json\r\nCache-Control: no-store\r\nRetry-After: %d\r\n" % _RETRY,
                lines,
                length_line(len(self._body)),
                date,
                CLOSE,
                b"\r\n",
                self._body,
            )
        )

    def report(self, observe: Callable[[Notice], None], total: int) -> None:
        """Tell of what was turned away since the last time, in one line however much it was."""
        if self.misled:
            count, self.misled = self.misled, 0
            text = "connections of listed proxies were cut off: they did not begin as the PROXY protocol has it"
            observe(Notice("warning", "proxy_protocol_broken", text, {"count": count}))
        if self.refused:
            count, self.refused = self.refused, 0
            text = "connections were turned away: there are as many as there may be, in all or from one address"
            observe(Notice("warning", "connections_refused", text, {"count": count, "open": total}))
