"""The settings of one MariaDB or MySQL database, checked once."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mainstay.adapters.sql.server_engine import check_options

SCHEMES = ("mysql", "mariadb")
PORT = 3306
_TLS = ("disabled", "required", "verify-ca", "verify-identity")


@dataclass(frozen=True, slots=True, repr=False)  # URLs have passwords in them
class Options:
    """How the connections of one process are opened and shared. Seconds are real time.

    - ``url``: ``mysql://user:password@host:port/database``, or ``mariadb://``. Parameters: ``ssl-mode`` (``disabled``,
      ``required``, ``verify-ca``, ``verify-identity``), ``ssl-ca`` (a file), ``socket`` (instead of host and port).
    - ``replica_url``: one other server for queries, a replica of the first by global transaction ids.
    - ``replica_seconds``: how far it may be behind; queries go to the primary while it is further.
    - ``pool``: connections for commands, and as many for queries.
    - ``queue_limit``: how many calls may wait for a connection of a kind; one more is refused at once.
    - ``wait_seconds``: how long a call waits for a connection, if its deadline is not sooner.
    - ``connect_seconds``: how long a connection may take to open.
    - ``statement_seconds``: the server ends a statement that takes longer; MySQL does so for reads only.
    - ``lock_seconds``: how long a statement waits for a row that another transaction holds (whole seconds).
    - ``idle_seconds``: MariaDB ends a transaction in which nothing happens for so long; MySQL has no such bound.
    - ``check_seconds``: a connection that was not used for so long is tried before it is given out.
    - ``durable``: refuse a server whose commits may be lost with the power (``innodb_flush_log_at_trx_commit`` other
      than 1); no session can ask for that by itself.
    - ``statement_cache``: the prepared statements that a connection keeps; the server bounds those of all connections
      (``max_prepared_stmt_count``, 16,382 where nobody changed it).
    - ``current``: gives the URL of now for one of those above, of the same server: passwords may change.
    """

    url: str
    replica_url: str | None = None
    replica_seconds: float = 5.0
    pool: int = 10
    queue_limit: int = 1024
    wait_seconds: float = 5.0
    connect_seconds: float = 5.0
    statement_seconds: float = 60.0
    lock_seconds: int = 5
    idle_seconds: float = 30.0
    check_seconds: float = 30.0
    durable: bool = True
    statement_cache: int = 128
    current: Callable[[str], str] = str

    def __post_init__(self) -> None:
        check_options(
            self,
            counts=("pool", "queue_limit", "statement_cache", "lock_seconds"),
            seconds=(
                "replica_seconds",
                "wait_seconds",
                "connect_seconds",
                "statement_seconds",
                "idle_seconds",
                "check_seconds",
            ),
        )
        for url in (self.url, self.replica_url):
            if url is not None:
                address(url)

    @property
    def database(self) -> str:
        """The name of the database."""
        return str(address(self.url)["database"])


def address(url: str) -> dict[str, Any]:
    """Return what the driver is told of a URL. Raises ``ValueError``, which never has the URL in it: it is secret."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"the url begins with none of {', '.join(SCHEMES)}")
    database = unquote(parts.path[1:])
    if not database or "/" in database:
        raise ValueError("the url names no database: mysql://user:password@host:3306/database")
    given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    mode, authority, socket = given.pop("ssl-mode", ""), given.pop("ssl-ca", None), given.pop("socket", None)
    if given:
        raise ValueError(f"the url has parameters that are not known: {', '.join(sorted(given))}")
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or PORT,
        "user": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "").encode(),
        "database": database,
        "unix_socket": socket,
        "ssl": _tls(mode or ("verify-identity" if authority else "disabled"), authority),
    }


def _tls(mode: str, authority: str | None) -> ssl.SSLContext | None:
    if mode not in _TLS:
        raise ValueError(f"ssl-mode: expected one of {', '.join(_TLS)}")
    if mode == "disabled":
        return None
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = mode == "verify-identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context
