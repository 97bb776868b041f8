"""What can be set of the HTTP door. Every bound has a default that is safe on the open Internet."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_ORIGIN = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]{1,5})?")


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Which web pages of other origins may call (Fetch standard, CORS protocol).

    ``origins`` are exact (``https://shop.example``), or ``("*",)`` for all, which cannot go with ``credentials``.
    ``headers`` are request headers allowed beside those that clients of this door need; ``max_age`` is in seconds.
    Raises ``ValueError`` for an origin that no browser would send.
    """

    origins: tuple[str, ...]
    credentials: bool = False
    headers: tuple[str, ...] = ()
    max_age: int = 600

    def __post_init__(self) -> None:
        if "*" in self.origins:
            if self.credentials:
                raise ValueError('cors: origins "*" cannot go with credentials: name the origins')
            if len(self.origins) > 1:
                raise ValueError('cors: origins "*" stands alone')
            return
        for origin in self.origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(
                    f"cors: origin {origin!r}: expected scheme://host[:port] in lower case without a path, "
                    "for example https://shop.example"
                )


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the door. Sizes are in bytes, times in seconds."""

    max_body_bytes: int = 1 << 20
    max_upload_bytes: int = 16 << 20  # of an operation that takes an Upload
    max_header_bytes: int = 16 << 10  # all header fields together: 431 beyond
    max_headers: int = 100
    max_target_bytes: int = 8 << 10  # path and query: 414 beyond
    max_held_bytes: int = 64 << 10  # read ahead while a call is in flight; reading pauses beyond
    header_timeout: float = 10.0  # from the first byte of a head to its end: 408 beyond
    body_timeout: float = 30.0  # without a byte of a body that is awaited: 408 beyond
    keep_alive_timeout: float = 75.0  # an idle connection is closed; above the 60 s of common load balancers
    write_timeout: float = 30.0  # a client that takes no byte of its answer is cut off
    linger: float = 1.0  # after a refusal, how long unread input is still taken so that the client sees the answer
    drain_delay: float = 0.0  # readiness says 503 while the door still accepts
    drain_timeout: float = 30.0  # for calls in flight, after which they are cut off
    backlog: int = 2048
    cors: Cors | None = None
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks that are believed about their clients
    proxy_header: Literal["forwarded", "x-forwarded-for"] | None = None  # the one that they write; None: either
    problem_base: str = "urn:problem:"  # the type of a problem is this and its code

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"http: {name} is {value}, expected 0 or more")
