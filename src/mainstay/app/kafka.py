"""The broker of ``kafka://`` and ``kafka+ssl://`` URLs."""

from __future__ import annotations

import re
from pathlib import Path

from mainstay.adapters.kafka.broker import MAX_BYTES, KafkaBroker
from mainstay.app import broker_urls
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

EXAMPLE = "kafka+ssl://shop:secret@kafka1.example:9093,kafka2.example:9093?partitions=12&replication=3"
_OPTIONS = ("prefix", "partitions", "replication", "max_bytes", "transactions", "sasl", *TLS_OPTIONS)
_SCRAM = "SCRAM-SHA-512"
_MECHANISMS = re.compile(r"PLAIN|SCRAM-SHA-256|SCRAM-SHA-512")
_FILES = {"ca": "ssl.ca.location", "certificate": "ssl.certificate.location", "key": "ssl.key.location"}


def make(settings: Settings, clock: Clock, observer: Observer) -> Broker:  # noqa: ARG001 - the form of a factory
    """Messages through Kafka. Raises ``Refusal``."""
    return broker_of(settings.events.reveal(), settings.source("events"), settings.root)


def broker_of(text: str, source: str, root: Path) -> Broker:
    """Return the broker of a URL. Raises ``Refusal``."""
    url = BrokerUrl(text, source=source, example=EXAMPLE, options=_OPTIONS)
    if url.path not in {"", "/"}:
        raise url.refusal("has a path", "topics are called as events are; prefix=shop puts shop. before them")
    return KafkaBroker(
        url.hosts,
        security=_security(url, root),
        prefix=url.text("prefix", "", broker_urls.PREFIX, "letters, digits, - and _, 60 at most"),
        partitions=url.number("partitions", -1, 1, 10_000),
        replication=url.number("replication", -1, 1, 100),
        max_bytes=url.number("max_bytes", MAX_BYTES, 1024, 1 << 29),
        transactions=url.flag("transactions"),
    )


def _security(url: BrokerUrl, root: Path) -> dict[str, str]:
    """Return the client's settings of TLS and SASL."""
    secured = url.scheme == "kafka+ssl"
    files = {setting: path for name, setting in _FILES.items() if (path := url.file(name, root))}
    if files and not secured:
        raise url.refusal("has files of TLS, and asks for none", "begin it with kafka+ssl:")
    mechanism = url.text("sasl", _SCRAM, _MECHANISMS, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    if mechanism == "PLAIN" and not secured:
        raise url.refusal(
            "would send its password for all to read", "begin it with kafka+ssl:, or use sasl=SCRAM-SHA-512"
        )
    if secured:
        url.tls(root)  # looked at now, not when somebody connects
    settings = {setting: str(path) for setting, path in files.items()}
    if not url.user:
        return {"security.protocol": "SSL" if secured else "PLAINTEXT", **settings}
    return {
        "security.protocol": "SASL_SSL" if secured else "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": url.user,
        "sasl.password": url.password,
        **settings,
    }
