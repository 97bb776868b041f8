"""The beginning of an exchange: who calls, over what, for which host, and what every answer to it carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainstay.inbound.http.cors import CorsPolicy
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.hosts import HostPolicy
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.peer import Peer, ProxyTrust, bucket
from mainstay.inbound.http.request import request_id_of
from mainstay.inbound.http.security import mounted_lines, security_lines
from mainstay.inbound.http.targets import PageTarget


class Reception:
    """What a door asks of a head before it knows what the head is for.

    ``careful`` says that every head is to be looked at; where it is False, one that says nothing of its caller has
    ``common`` as the lines of its answers. ``taken`` are the header fields that operations take.
    """

    def __init__(self, options: HttpOptions, taken: Sequence[str], token: Callable[[], str]) -> None:
        self._token = token
        self._secure = False
        self._trust: ProxyTrust | None = None
        if options.trusted_proxies:
            self._trust = ProxyTrust(options.trusted_proxies, header=options.proxy_header)
        self._hosts = HostPolicy(options.hosts, addresses=options.host_addresses) if options.hosts else None
        self._probes = options.hosts_of_probes
        self.cors = CorsPolicy(options.cors, taken) if options.cors else None
        self.careful = self._trust is not None or self._hosts is not None
        self._lines = [security_lines(options.security, secure=secure) for secure in (False, True)]
        self._mounted = [mounted_lines(options.security, secure=secure) for secure in (False, True)]
        self.common = self._common(None, self._secure)

    def over_tls(self) -> None:
        """Take every connection for one by TLS."""
        self._secure = True
        self.common = self._common(None, True)

    def _common(self, origin: bytes | None, secure: bool) -> bytes:
        lines = self._lines[secure]
        return lines if self.cors is None else lines + self.cors.answer(origin)

    def identify(
        self, method: bytes, headers: dict[bytes, bytes], address: str, peer: str, root: str, *, secure: bool = False
    ) -> Exchange:
        """Begin an exchange. ``secure`` says that the connection is by TLS, where not all of the listener's are."""
        secure = secure or self._secure
        authority = None
        if self._trust is not None:
            client = self._client(self._trust, address, headers)
            address, authority, peer = client.address, client.host, bucket(client.address)
            secure = secure if client.scheme is None else client.scheme == "https"
        common = self._common(headers.get(b"origin"), secure)
        request_id = request_id_of(headers.get(b"x-request-id")) or self._token()
        return Exchange(
            method,
            headers,
            peer,
            request_id,
            common,
            root=root,
            address=address,
            secure=secure,
            authority=authority,
        )

    def mounted(self, exchange: Exchange) -> bytes:
        """Return the lines that the answer of a mounted application carries."""
        return self._mounted[exchange.secure]

    @staticmethod
    def _client(trust: ProxyTrust, address: str, headers: dict[bytes, bytes]) -> Peer:
        return trust.peer(
            address,
            headers.get(b"forwarded"),
            headers.get(b"x-forwarded-for"),
            headers.get(b"x-forwarded-proto"),
            headers.get(b"x-forwarded-host"),
        )

    def check_host(self, exchange: Exchange, target: bytes, found: object) -> None:
        """Refuse a request for another host. ``found`` is what it names, where that is known already.

        Raises ``Misdirected``.
        """
        if self._hosts is None:
            return
        if isinstance(found, PageTarget) and found.page.probe and not self._probes:
            return
        self._hosts.check(target, exchange.headers.get(b"host"), exchange.authority)
