"""What can be set of the HTTP door. Every bound has a default that is safe on the open Internet."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_LABELS = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*"
_ORIGIN = re.compile(rf"(https?)://(?:\[[0-9a-f:.]+\]|(?:\*\.(?=[^:]*\.))?{_LABELS})(?::([0-9]{{1,5}}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
KeyField = Literal["surrogate-key", "cache-tag", "edge-cache-tag", "none"]
_VISIBLE = re.compile(r"[ -~]*")


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Which web pages of other origins may call (Fetch standard, CORS protocol).

    ``origins`` are exact (``https://shop.example``), have a star for one label (``https://*.shop.example``), or are
    ``("*",)`` for all, which cannot go with ``credentials``. ``headers`` are request headers allowed and ``expose``
    answer headers shown beside those that clients of this door need; ``max_age`` is in seconds. ``private_network``
    lets pages of public addresses reach a private one (Private Network Access).
    Raises ``ValueError`` for an origin that no browser would send.
    """

    origins: tuple[str, ...]
    credentials: bool = False
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int = 600
    private_network: bool = False

    def __post_init__(self) -> None:
        if "*" in self.origins:
            if self.credentials:
                raise ValueError('cors: origins "*" cannot go with credentials: name the origins')
            if len(self.origins) > 1:
                raise ValueError('cors: origins "*" stands alone')
            return
        for origin in self.origins:
            wrong = origin_fault(origin)
            if wrong is not None:
                raise ValueError(f"cors: origin {origin!r}: {wrong}")


def origin_fault(origin: str) -> str | None:
    """Return why no browser sends this as an origin, or None."""
    if origin == "null":
        return "it stands for every sandboxed page and file, of whomever: name the origins"
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return (
            "expected scheme://host[:port] in lower case without a path, for example https://shop.example "
            "or https://*.shop.example"
        )
    if found[2] == _DEFAULT_PORTS[found[1]]:
        return "browsers leave the usual port out: leave it out as well"
    return None


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """The security headers of every answer. One that is empty is left out; a use case that sets one itself is obeyed.

    ``hsts_max_age`` in seconds is told over TLS only; 0 leaves it out. Raises ``ValueError`` for what is no header.
    """

    content_policy: str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    frame_options: str = "DENY"
    referrer_policy: str = "no-referrer"
    opener_policy: str = "same-origin"
    resource_policy: str = "same-origin"
    permissions_policy: str = ""
    hsts_max_age: int = 0
    hsts_subdomains: bool = False
    hsts_preload: bool = False

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str) and _VISIBLE.fullmatch(value) is None:
                raise ValueError(f"security: {name}: expected visible ASCII characters on one line")


class SessionCookie(msgspec.Struct, frozen=True, kw_only=True):
    """The cookie that a browser's session is kept in (RFC 6265bis).

    With the prefix ``__Host-`` browsers take it over TLS only, for this host and all of its paths: no other host of the
    domain can set it. Raises ``ValueError`` where name and ``secure`` do not go together.
    """

    name: str = "__Host-session"
    secure: bool = True
    same_site: Literal["Lax", "Strict"] = "Lax"

    def __post_init__(self) -> None:
        if self.secure != self.name.startswith("__Host-"):
            raise ValueError("session cookie: a name with __Host- is for secure cookies, and they have it")


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the door. Sizes are in bytes, times in seconds."""

    max_body_bytes: int = 1 << 20
    max_upload_bytes: int = 128 << 20  # of an operation that takes an Upload
    spool_folder: str = ""  # where uploads are while their call lasts; empty: the system's place
    max_header_bytes: int = 16 << 10  # all header fields together: 431 beyond
    max_headers: int = 100
    max_target_bytes: int = 8 << 10  # path and query: 414 beyond
    max_held_bytes: int = 64 << 10  # read ahead while a call is in flight; reading pauses beyond
    header_timeout: float = 10.0  # from the first byte of a head to its end: 408 beyond
    first_byte_timeout: float = 30.0  # a new connection without a request is closed
    body_timeout: float = 30.0  # without a byte of a body that is awaited, or with less than its rate: 408 beyond
    min_body_rate: int = 256  # bytes a second that must come in each body_timeout
    keep_alive_timeout: float = 75.0  # an idle connection is closed; above the 60 s of common load balancers
    write_timeout: float = 30.0  # a client that takes no byte of its answer, or less than its rate, is cut off
    min_write_rate: int = 256  # bytes a second that must go in each write_timeout
    max_connections: int = 10_000  # of a worker: 503 beyond, once there are none at rest to be closed
    max_connections_per_address: int = 2_500  # as limits count addresses, but for listed proxies; 0: as many as in all
    linger: float = 1.0  # after a refusal, how long unread input is still taken so that the client sees the answer
    drain_delay: float = 0.0  # readiness says 503 while the door still accepts
    stream_seconds: float = 3600.0  # of all of one stream; one that a browser listens to is taken up again by it
    stream_idle_seconds: float = 300.0  # until a stream that has nothing to say is ended
    heartbeat_seconds: float = 15.0  # between signs of life to who listens to events
    retry_seconds: float = 2.0  # after which who listens to events comes back
    drain_timeout: float = 30.0  # for calls in flight, after which they are cut off
    backlog: int = 2048
    cors: Cors | None = None
    security: Security | None = Security()
    hosts: tuple[str, ...] = ()  # that are answered for, 421 beyond; none: all
    host_addresses: bool = False  # beside them every address
    hosts_of_probes: bool = False  # of health and readiness too: they are asked by address
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks that are believed about their clients
    proxy_header: Literal["forwarded", "x-forwarded-for"] | None = None  # the one that they write; None: either
    proxy_protocol: bool = False  # listed proxies say by it whom each connection is from
    problem_base: str = "urn:problem:"  # the type of a problem is this and its code
    compress: bool = True
    codings: tuple[str, ...] | None = None  # of answers, the best first; None: all that are installed
    compress_least: int = 1024  # bytes of a body from which on it is packed
    compress_inline: int = 64 << 10  # a larger body is packed in a thread, while it is sent
    compress_types: tuple[str, ...] = ()  # media types that are packed beside the usual ones
    max_inflation: int = 100  # how many times its size a packed request body may become
    cache_keys: KeyField = "surrogate-key"  # the field that tells shared caches what an answer is purged by
    session: SessionCookie | None = None  # None: cookies say nothing
    msgpack: bool = True  # what is taken and given as JSON is taken and given as MessagePack too

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"http: {name} is {value}, expected 0 or more")
        if self.proxy_protocol and not self.trusted_proxies:
            raise ValueError("http: proxy_protocol: list in trusted_proxies whose word is taken")
