"""A test that reaches beyond this machine fails at once: what it proves must not depend on somebody else's server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NAMES = {"localhost", "testserver", ""}


class OutsideNetworkError(AssertionError):
    """A test asked for an address that is not of this machine."""


def refuse_outside(host: object) -> None:
    """Raise OutsideNetworkError unless `host` is a loopback name or address, or none."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or not isinstance(host, str) or host in NAMES:
        return
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise OutsideNetworkError(f"a test may not look up {host!r}: only loopback is allowed") from None
    if not (address.is_loopback or address.is_unspecified):
        raise OutsideNetworkError(f"a test may not reach {host}: only loopback is allowed")


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", _guarded(socket.socket.sendto))
        lookup = socket.getaddrinfo

        def local_lookup(host: Any, *rest: Any, **named: Any) -> Any:
            refuse_outside(host)
            return lookup(host, *rest, **named)

        patch.setattr(socket, "getaddrinfo", local_lookup)
        yield


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            address = arguments[-1]
            refuse_outside(address[0] if isinstance(address, tuple) else None)
        return method(self, *arguments)

    return guarded
