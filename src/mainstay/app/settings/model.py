"""What can be set: one struct a section of ``mainstay.toml``, with types, bounds and defaults.

A field ``http.port`` is ``port`` under ``[http]`` in the file and ``MAINSTAY_HTTP_PORT`` in the environment. A field of
type ``Secret[str]`` may be given by the name of a file that holds it: ``key_file``, ``MAINSTAY_AUTH_KEY_FILE``.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainstay.app.settings.identity import Mail, OAuth, Passwords, Sessions
from mainstay.app.settings.outside import Outgoing, SecretsFrom
from mainstay.app.settings.section import Bytes, Count, Name, Pause, Port, Seconds, Section
from mainstay.app.settings.shared import Cache, Leaderboards, Limits, Signals
from mainstay.model.values import Secret
from mainstay.ports.secrets import LivingSecret

Profile = Literal["development", "test", "production"]
PROFILES: tuple[Profile, ...] = ("development", "test", "production")

Exposure = Literal["auto", "public", "admin", "off"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Tls(Section, frozen=True):
    """TLS of the HTTP door, on where a certificate is named. Paths are relative to the folder of ``mainstay.toml``."""

    certificate: str = ""  # PEM: the server's own, then those between it and the root
    key: str = ""  # PEM; where it is empty the key is in the certificate's file
    key_password: Secret[str] = Secret("")
    minimum: Literal["1.2", "1.3"] = "1.3"
    handshake_seconds: Seconds = 10.0
    watch_seconds: Pause = 10.0  # between looks at the files, of which new ones are taken; 0: at SIGHUP only
    warning_days: Annotated[int, Meta(ge=0, le=3650)] = 14  # before the end of a certificate
    client_certificates: Literal["none", "optional", "required"] = "none"  # of who calls (mutual TLS)
    client_ca: str = ""  # PEM: whose certificates are believed
    client_crl: str = ""  # PEM: those that were revoked, as each authority says that issues them
    client_identity: Literal["spiffe", "dns", "subject"] = "spiffe"  # which of its names a certificate stands for
    client_principal: bool = False  # who sends a certificate and no token is authenticated by it


class Http(Section, frozen=True):
    """The HTTP door. Sizes are in bytes, times in seconds."""

    server: Literal["native", "granian", "uvicorn"] = "native"
    tls: Tls = Tls()
    host: Name = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    backlog: Count = 2048
    max_body: Bytes = 1024 * 1024
    max_upload: Bytes = 128 * 1024 * 1024  # the body of an operation that takes a file
    spool_folder: str = ""  # where uploads are while their call lasts; empty: the system's place for temporary files
    max_header: Bytes = 16 * 1024  # all header fields together
    max_headers: Annotated[int, Meta(ge=8, le=10_000)] = 100
    max_target: Bytes = 8 * 1024  # path and query
    max_concurrency: Count = 1000  # calls in flight, in each worker: 503 beyond
    queue_target_ms: Annotated[float, Meta(ge=0, le=60_000)] = 20.0  # that calls may queue for long; 0: any time
    compress: bool = True  # answers, for clients that take it
    codings: list[Literal["zstd", "br", "gzip"]] = []  # of answers, the best first; none: all that are installed
    compress_least: Bytes = 1024
    compress_types: list[str] = []  # media types that are packed beside the usual ones
    max_inflation: Annotated[int, Meta(ge=2, le=100_000)] = 100  # times its size that a packed request may become
    msgpack: bool = True  # beside JSON
    cache_keys: Literal["surrogate-key", "cache-tag", "edge-cache-tag", "none"] = "surrogate-key"  # of shared caches
    header_seconds: Seconds = 10.0  # from the first byte of a head to its end
    first_byte_seconds: Seconds = 30.0  # of a new connection without a request
    body_seconds: Seconds = 30.0  # without a byte of a body that is awaited
    min_body_rate: Annotated[int, Meta(ge=0, le=10**9)] = 256  # bytes a second that must come in each body_seconds
    idle_seconds: Seconds = 75.0
    write_seconds: Seconds = 30.0  # until a client that takes no byte of its answer is cut off
    min_write_rate: Annotated[int, Meta(ge=0, le=10**9)] = 256  # bytes a second that must go in each write_seconds
    max_connections: Count = 10_000  # in each worker: 503 beyond, once none is at rest
    max_connections_per_address: Annotated[int, Meta(ge=0, le=10**9)] = 2_500  # but of listed proxies; 0: no bound
    trusted_proxies: list[str] = []  # addresses and networks whose Forwarded is believed
    proxy_protocol: bool = False  # listed proxies say by it whom each connection is from
    proxy_header: Literal["auto", "forwarded", "x-forwarded-for"] = "auto"  # the one that they write
    hosts: list[str] = []  # that are answered for, as api.shop.example or *.shop.example; none: all
    hosts_of_probes: bool = False  # for /health and /ready too, which are asked by address
    stream_seconds: Seconds = 3600.0  # of all of one stream; a browser takes up again what it listens to
    stream_idle_seconds: Seconds = 300.0  # until a stream that has nothing to say is ended
    heartbeat_seconds: Seconds = 15.0  # between signs of life to who listens to events
    retry_seconds: Seconds = 2.0  # after which who listens to events comes back
    drain_delay: Pause = 5.0  # readiness says 503 while the door still accepts
    drain_seconds: Pause = 30.0  # for calls in flight


class Admin(Section, frozen=True):
    """The address for those who run the service: metrics, documents, the reasons of readiness."""

    enabled: bool | None = None  # None: in production only
    host: Name = "127.0.0.1"
    port: Port = 8001


class Cors(Section, frozen=True):
    """Which pages of other origins may call (none, unless named here)."""

    origins: list[str] = []  # https://shop.example, https://*.shop.example (one label), or * alone
    credentials: bool = False
    headers: list[str] = []  # request headers that pages may send beside the usual ones
    expose: list[str] = []  # answer headers that pages may read beside the usual ones
    max_age: Annotated[int, Meta(ge=0, le=86400)] = 600
    private_network: bool = False  # pages of public addresses may reach a private one


class SecurityHeaders(Section, frozen=True):
    """The security headers of every answer; one that is empty is left out."""

    enabled: bool = True
    content_policy: str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    frame_options: str = "DENY"
    referrer_policy: str = "no-referrer"
    opener_policy: Literal["same-origin", "same-origin-allow-popups", "unsafe-none", ""] = "same-origin"
    resource_policy: Literal["same-origin", "same-site", "cross-origin", ""] = "same-origin"
    permissions_policy: str = ""
    hsts_seconds: Annotated[int, Meta(ge=0, le=315_360_000)] | None = None  # over TLS; None: a year in production
    hsts_subdomains: bool = False
    hsts_preload: bool = False


class Database(Section, frozen=True):
    """Where rows live. ``sqlite:///data.sqlite`` is relative to the folder of ``mainstay.toml``."""

    url: Secret[str] = Secret("")
    synchronous: Literal["full", "normal", "off"] = "full"
    migrations: Name = "migrations"  # the folder of the migration files, beside mainstay.toml
    create: bool = False  # make the tables that are missing, without migrations: for throw-away files
    readers: Annotated[int, Meta(ge=1, le=64)] = 4
    replica_url: Secret[str] = Secret("")  # of a server that queries are sent to
    replica_seconds: Seconds = 5.0  # how far behind it may be
    pool: Annotated[int, Meta(ge=1, le=1000)] = 10  # connections of a worker for commands, and as many for queries
    pooler: bool = False  # a transaction pooler (PgBouncer) stands before the server
    direct_url: Secret[str] = Secret("")  # of the server behind the pooler, for what needs a session
    schema: str = ""  # where the tables are, if it is not where the user's search_path leads
    busy_seconds: Seconds = 5.0
    turn_seconds: Seconds = 5.0


class Worker(Section, frozen=True):
    """What works on events: hands them on, and runs their consumers. ``keep_days`` and ``keep_rows`` bound what is
    remembered of messages that are done; what comes from before that is a dead letter.
    """

    inside: bool = True  # of mainstay run; else it is left to mainstay worker
    keep_days: Annotated[float, Meta(gt=0, le=3650)] = 7.0
    keep_rows: Annotated[int, Meta(ge=1000, le=10**10)] = 1_000_000


class Blobs(Section, frozen=True):
    """Where objects are: ``file:///objects`` is beside ``mainstay.toml``; none where it is empty."""

    url: Secret[str] = Secret("")


class TokenKey(Section, frozen=True):
    """One key that tokens are signed with: a shared secret, PEM text, a JWK or a JWK set."""

    value: Secret[str] = Secret("")
    algorithm: Literal["HS256", "RS256", "ES256", "EdDSA"] | None = None
    kid: str | None = None


class Issuer(Section, frozen=True):
    """An issuer whose tokens are believed, by the URL where it says what its keys are."""

    url: Name  # the iss of its tokens, to the letter
    audience: list[str] = []  # none: that of auth.audience
    roles_claim: Name = "roles"
    tenant_claim: Name = "tenant"
    types: list[Literal["jwt", "at+jwt"]] = []  # the typ of its tokens; none: either, or none
    clients: list[str] = []  # whose tokens are taken (azp, client_id); none: those of all
    stale_seconds: Annotated[float, Meta(ge=0, le=604_800)] = 21_600.0  # that its last keys count while it is away


class Auth(Section, frozen=True):
    """Whose tokens are believed. ``key`` is the short form of one entry of ``keys``."""

    key: Secret[str] = Secret("")
    algorithm: Literal["HS256", "RS256", "ES256", "EdDSA"] | None = None
    keys: list[TokenKey] = []
    issuers: list[Issuer] = []
    issuer: str = ""
    audience: list[str] = []
    types: list[str] = []  # that the issuer gives its tokens, as at+jwt; none: JWT, at+jwt, or not said
    leeway: Annotated[float, Meta(ge=0, le=300)] = 30.0
    roles_claim: Name = "roles"
    tenant_claim: Name = "tenant"
    cache_size: Annotated[int, Meta(ge=0, le=10**7)] = 4096


class Sealing(Section, frozen=True):
    """What page cursors are sealed with: the secret of now, and those before it that still open."""

    secret: Secret[str] = Secret("")
    previous: list[Secret[str]] = []


class Encryption(Section, frozen=True):
    """What fields are encrypted with: the secret of now, and those before it that still open what they encrypted."""

    key: Secret[str] = Secret("")
    previous: list[Secret[str]] = []


class Log(Section, frozen=True):
    """How the log is written: ``auto`` is pretty on a terminal, JSON lines elsewhere.

    What is written by Python's ``logging`` is in it too: of the service's own package from ``level`` on, of other
    libraries warnings and errors. ``loggers`` says otherwise for those that it names.
    """

    format: Literal["auto", "json", "pretty"] = "auto"
    level: LogLevel = "info"
    loggers: dict[str, LogLevel] = {}


class Expose(Section, frozen=True):
    """Who may see what the service says of itself.

    ``auto`` is ``public`` in development and test, and ``admin`` (the loopback admin address) in production.
    """

    docs: Exposure = "auto"
    metrics: Exposure = "auto"
    readiness: Exposure = "auto"  # the reasons; the verdict is always public


class Contracts(Section, frozen=True):
    """The schemas of events that are kept beside the code, and what may change in them without a new version."""

    events: Name = "contracts/events"  # their folder, beside mainstay.toml
    url: Annotated[str, Meta(pattern=r"^(https?://[^\s?#]*[^\s?#/])?$")] = ""  # where its files are, for dataschema
    compatibility: Literal["full", "backward", "forward", "none"] = "full"


class DemoToken(Section, frozen=True):
    """Somebody whom ``mainstay run --demo`` prints a token for."""

    name: Name
    subject: Name
    roles: list[str] = []
    scopes: list[str] = []
    tenant: str | None = None


class Demo(Section, frozen=True):
    """What ``mainstay run --demo`` prints: tokens, and commands with ``{url}`` and ``{<token name>}`` to fill in."""

    tokens: list[DemoToken] = []
    requests: list[str] = []


class Settings(Section, frozen=True):
    """All settings of one service, checked. ``sources`` says for each key that was set where it was.

    ``references`` are the secrets that are kept elsewhere, each of which stands in its place, too.
    """

    service: str = ""
    path: list[str] = msgspec.field(default_factory=lambda: [".", "src"])
    debug: bool = False  # log everything
    events: Secret[str] = Secret("")  # the URL of a broker; none: events stay in the service's database
    http: Http = Http()
    admin: Admin = Admin()
    cors: Cors = Cors()
    security: SecurityHeaders = SecurityHeaders()
    database: Database = Database()
    worker: Worker = Worker()
    blobs: Blobs = Blobs()
    auth: Auth = Auth()
    passwords: Passwords = Passwords()
    mail: Mail = Mail()
    sessions: Sessions = Sessions()
    oauth: OAuth = OAuth()
    sealing: Sealing = Sealing()
    encryption: Encryption = Encryption()
    limits: Limits = Limits()
    cache: Cache = Cache()
    signals: Signals = Signals()
    leaderboards: Leaderboards = Leaderboards()
    log: Log = Log()
    expose: Expose = Expose()
    contracts: Contracts = Contracts()
    demo: Demo = Demo()
    outgoing: Outgoing = Outgoing()
    secrets_from: SecretsFrom = SecretsFrom()
    secrets: dict[str, Secret[str]] = {}

    profile: Profile = "production"
    profile_source: str = "no profile is set"
    root: Path = Path()
    file: Path | None = None
    sources: Mapping[str, str] = MappingProxyType({})
    references: tuple[LivingSecret, ...] = ()

    @property
    def is_production(self) -> bool:
        """Whether the strict rules apply."""
        return self.profile == "production"

    @property
    def state(self) -> Path:
        """The folder of what belongs to this clone only: keys, the development database."""
        return self.root / ".mainstay"

    @property
    def admin_open(self) -> bool:
        """Whether the admin address is served."""
        return self.is_production if self.admin.enabled is None else self.admin.enabled

    @property
    def hsts_seconds(self) -> int:
        """For how long browsers are told to use TLS only; 0: they are not told."""
        chosen = self.security.hsts_seconds
        return (31_536_000 if self.is_production else 0) if chosen is None else chosen

    def shown(self, what: Exposure) -> Exposure:
        """Return ``public``, ``admin`` or ``off`` for an exposure."""
        if what == "auto":
            return "admin" if self.is_production else "public"
        return what

    def source(self, key: str) -> str:
        """Return where a key was set, for messages."""
        return self.sources.get(key, f"the default of the {self.profile} profile")


LOADED_FIELDS = frozenset({"profile", "profile_source", "root", "file", "sources", "references"})
"""Fields of ``Settings`` that the loader fills in; they are no settings."""

DEFAULTS: Mapping[Profile, Mapping[str, Any]] = MappingProxyType(
    {
        "production": {},
        "development": {
            "database.url": "sqlite:///.mainstay/development.sqlite",
            "database.synchronous": "normal",
            "blobs.url": "file:///.mainstay/blobs",
            "http.drain_delay": 0.0,
            "http.drain_seconds": 5.0,
        },
        "test": {
            "database.url": "memory:",
            "blobs.url": "memory:",
            "http.port": 0,
            "http.drain_delay": 0.0,
            "http.drain_seconds": 5.0,
        },
    }
)
"""Where a profile's defaults differ from the fields' own."""


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
