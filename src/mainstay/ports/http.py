"""Calls to the outside over HTTP, made so that no caller of this service can aim them at what is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from mainstay.model.problem import Unavailable


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the status, the header fields by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailed(Unavailable):
    """No answer of the other side could be had."""


class AddressRefused(HttpFailed):
    """The address is none that this service may call."""


class HttpClient(ABC):
    """Call other services over HTTP.

    Each name is resolved once, every address that it leads to is checked, and the connection is made to the address
    that was checked; a redirect is followed only where it is asked for, and is checked in the same way. Private,
    loopback, link-local and other special addresses are refused, but those that the settings name.
    """

    @abstractmethod
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        max_body: int = 1024 * 1024,
        redirects: int = 0,
    ) -> HttpAnswer:
        """Send a request and return the answer, whatever its status.

        ``seconds`` bound all of it, ``max_body`` (bytes) the body of the answer as it is unpacked. Raises
        ``AddressRefused`` for an address that is not to be called, ``HttpFailed`` where there is no answer, or one that
        is too long.
        """
