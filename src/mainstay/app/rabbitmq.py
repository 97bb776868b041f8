"""The broker of ``amqp://`` and ``amqps://`` URLs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlunsplit

from mainstay.adapters.rabbitmq.broker import DELIVERY_LIMIT, MAX_BYTES, PREFETCH, PREFIX, RabbitMqBroker
from mainstay.app import broker_urls
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

EXAMPLE = "amqps://shop:secret@rabbit.example/production?prefetch=500"
_OPTIONS = ("prefix", "prefetch", "delivery_limit", "max_bytes", *TLS_OPTIONS)


def make(settings: Settings, clock: Clock, observer: Observer) -> Broker:  # noqa: ARG001 - the form of a factory
    """Messages through RabbitMQ. Raises ``Refusal``."""
    return broker_of(settings.events.reveal(), settings.source("events"), settings.root)


def broker_of(text: str, source: str, root: Path) -> Broker:
    """Return the broker of a URL. Raises ``Refusal``."""
    url = BrokerUrl(text, source=source, example=EXAMPLE, options=_OPTIONS)
    if "," in url.hosts:
        raise url.refusal("names several hosts", "put a load balancer, or one name of several addresses, before them")
    if url.path.count("/") > 1:
        raise url.refusal("has a virtual host with a /", "write it as %2F")
    secured = url.scheme == "amqps"
    if not secured and any(url.file(name, root) for name in TLS_OPTIONS):
        raise url.refusal("has files of TLS, and asks for none", "begin it with amqps:")
    return RabbitMqBroker(
        urlunsplit((url.scheme, url.netloc, url.path, "", "")),
        tls=url.tls(root) if secured else None,
        prefix=url.text("prefix", PREFIX, broker_urls.PREFIX, "letters, digits, - and _, 60 at most"),
        prefetch=url.number("prefetch", PREFETCH, 1, 10_000),
        delivery_limit=url.number("delivery_limit", DELIVERY_LIMIT, 1, 1_000_000),
        max_bytes=url.number("max_bytes", MAX_BYTES, 1024, 1 << 29),
    )
