"""Calls to the outside over HTTP, made so that no caller of this service can aim them at what is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import msgspec

from mainstay.model.problem import Unavailable


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the status, the header fields by lower-case name, and the whole body.

    A field that came several times is one text, its values separated by commas (RFC 9110, section 5.3).
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class HttpFailed(Unavailable):
    """No answer of the other side could be had.

    ``reason`` is for the log. It is not shown to the caller, whom it would tell what there is inside.
    """

    def __init__(self, reason: str = "", /, **members: Any) -> None:
        super().__init__(**members)
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.detail}: {self.reason}" if self.reason else self.detail


class AddressRefused(HttpFailed):
    """The address is none that this service may call."""


class RequestRefused(HttpFailed):
    """The request is none that can be sent."""


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

        ``seconds`` bound all of it, and so does the deadline of the call that it is made for. ``max_body`` (bytes)
        bounds the body of the answer as it is unpacked. ``redirects`` is how many are followed, 0 returns the first one
        as the answer that it is. Raises ``AddressRefused`` for an address that is not to be called, ``RequestRefused``
        for a method or a header that cannot be sent, ``HttpFailed`` where there is no answer, or one that is too long.
        """
