"""The broker of ``redis://`` and ``rediss://`` URLs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mainstay.adapters.redis.broker import RedisBroker
from mainstay.adapters.redis.connection import RedisPlace
from mainstay.app import broker_urls
from mainstay.app.broker_credentials import Credentials, current_credentials
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

EXAMPLE = "redis://:secret@redis.example:6379/0, or rediss://shop:secret@redis.example?ca=redis-ca.pem"
_OPTIONS = ("prefix", *TLS_OPTIONS)
_PORT = 6379
_DATABASE = re.compile(r"/?|/[0-9]{1,5}")


def broker(settings: Settings, clock: Clock, observer: Observer) -> Broker:
    """Messages through Redis Streams. Raises ``Refusal``."""
    current = settings.events.reveal
    return broker_of(current(), settings.source("events"), settings.root, clock, observer, current)


def broker_of(
    text: str, source: str, root: Path, clock: Clock, observer: Observer, current: Callable[[], str]
) -> Broker:
    """Return the broker of a URL, whose user and password are those of ``current``. Raises ``Refusal``."""
    url = BrokerUrl(text, source=source, example=EXAMPLE, options=_OPTIONS)
    prefix = url.text("prefix", "mainstay", broker_urls.PREFIX, "letters, digits, - and _, 60 at most")
    return RedisBroker(
        place_of(url, root, current_credentials(text, current)), clock=clock, observer=observer, prefix=prefix
    )


def place_of(url: BrokerUrl, root: Path, credentials: Callable[[], Credentials]) -> RedisPlace:
    """Return the place that a URL names. Raises ``Refusal``."""
    if "," in url.hosts:
        raise url.refusal("names several hosts", "name the primary, by what follows it where that changes")
    if not _DATABASE.fullmatch(url.path):
        raise url.refusal("has a path that is no number of a database")
    if url.user and not url.password:
        raise url.refusal("has a user without a password", "a password alone stands behind a colon, as in :secret@")
    secured = url.scheme == "rediss"
    files = {name: url.file(name, root) for name in TLS_OPTIONS}
    if secured:
        url.tls(root)  # looked at now, not when somebody connects
    elif any(files.values()):
        raise url.refusal("has files of TLS, and asks for none", "begin it with rediss:")
    address = urlsplit(f"//{url.hosts}")
    return RedisPlace(
        host=address.hostname or "",
        port=address.port or _PORT,
        database=int(url.path.strip("/") or 0),
        credentials=credentials,
        tls=secured,
        ca=files["ca"],
        certificate=files["certificate"],
        key=files["key"],
    )
