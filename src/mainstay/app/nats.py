"""The broker of ``nats://`` and ``tls://`` URLs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mainstay.adapters.nats.broker import NatsBroker
from mainstay.adapters.nats.connection import NatsPlace
from mainstay.app import broker_urls
from mainstay.app.broker_credentials import Credentials, current_credentials
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

EXAMPLE = "nats://shop:secret@nats.example:4222, or tls://token@nats1.example,nats2.example?replicas=3"
_OPTIONS = ("prefix", "replicas", *TLS_OPTIONS)
_PORT = 4222


def broker(settings: Settings, clock: Clock, observer: Observer) -> Broker:
    """Messages through NATS JetStream. Raises ``Refusal``."""
    current = settings.events.reveal
    return broker_of(current(), settings.source("events"), settings.root, clock, observer, current)


def broker_of(
    text: str, source: str, root: Path, clock: Clock, observer: Observer, current: Callable[[], str]
) -> Broker:
    """Return the broker of a URL, whose user and password are those of ``current``. Raises ``Refusal``."""
    url = BrokerUrl(text, source=source, example=EXAMPLE, options=_OPTIONS)
    return NatsBroker(
        place_of(url, root, current_credentials(text, current)),
        clock=clock,
        observer=observer,
        prefix=url.text("prefix", "mainstay", broker_urls.PREFIX, "letters, digits, - and _, 60 at most"),
        replicas=url.number("replicas", 1, 1, 5),
    )


def place_of(url: BrokerUrl, root: Path, credentials: Callable[[], Credentials]) -> NatsPlace:
    """Return the place that a URL names. Raises ``Refusal``."""
    if url.path not in {"", "/"}:
        raise url.refusal("has a path", "prefix=shop puts shop before the names in the server")
    if url.password and not url.user:
        raise url.refusal("has a password without a user", "a token alone stands before the @")
    secured = url.scheme == "tls"
    if not secured and any(url.file(name, root) for name in TLS_OPTIONS):
        raise url.refusal("has files of TLS, and asks for none", "begin it with tls:")
    return NatsPlace(
        servers=tuple(_address(host) for host in url.hosts.split(",")),
        credentials=credentials,
        tls=url.tls(root) if secured else None,
    )


def _address(host: str) -> str:
    """Return a host with its port."""
    return host if urlsplit(f"//{host}").port else f"{host}:{_PORT}"
