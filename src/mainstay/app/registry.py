"""Adapters by name: what is built in, what is installed beside it, and what to install where something is missing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from mainstay.app.refusal import Refusal

GROUP = "mainstay.adapters"
"""The entry points by which a package offers adapters; the name of one is ``kind.name``: ``store.duckdb``."""


class Entry(NamedTuple):
    """Where the factory of an adapter is, and the extra of this package that brings what it needs."""

    factory: str
    extra: str | None = None


BUILT_IN: Mapping[str, Entry] = MappingProxyType(
    {
        "store.sqlite": Entry("mainstay.app.stores:sqlite"),
        "store.postgresql": Entry("mainstay.app.postgres:make", "postgres"),
        "store.mysql": Entry("mainstay.app.mysql:make", "mysql"),
        "store.mariadb": Entry("mainstay.app.mysql:make", "mysql"),
        "store.memory": Entry("mainstay.app.stores:memory"),
        "store.mongodb": Entry("mainstay.app.mongo:make", "mongo"),
        "store.mongodb+srv": Entry("mainstay.app.mongo:make", "mongo"),
        "store.dynamodb": Entry("mainstay.app.dynamo:make", "dynamo"),
        "migrations.postgresql": Entry("mainstay.app.postgres:target", "postgres"),
        "migrations.mysql": Entry("mainstay.app.mysql:target", "mysql"),
        "migrations.mariadb": Entry("mainstay.app.mysql:target", "mysql"),
        "backups.postgresql": Entry("mainstay.app.postgres:backups", "postgres"),
        "backups.mysql": Entry("mainstay.app.mysql:backups", "mysql"),
        "backups.mariadb": Entry("mainstay.app.mysql:backups", "mysql"),
        "broker.memory": Entry("mainstay.app.brokers:memory"),
        "broker.redis": Entry("mainstay.app.redis:broker", "redis"),
        "broker.rediss": Entry("mainstay.app.redis:broker", "redis"),
        "broker.nats": Entry("mainstay.app.nats:broker", "nats"),
        "broker.tls": Entry("mainstay.app.nats:broker", "nats"),
        "broker.sqlite": Entry("mainstay.app.database_broker:broker"),
        "broker.postgresql": Entry("mainstay.app.database_broker:broker"),
        "broker.postgres": Entry("mainstay.app.database_broker:broker"),
        "broker.mysql": Entry("mainstay.app.database_broker:broker"),
        "broker.mariadb": Entry("mainstay.app.database_broker:broker"),
        "broker.amqp": Entry("mainstay.app.rabbitmq:make", "rabbitmq"),
        "broker.amqps": Entry("mainstay.app.rabbitmq:make", "rabbitmq"),
        "broker.kafka": Entry("mainstay.app.kafka:make", "kafka"),
        "broker.kafka+ssl": Entry("mainstay.app.kafka:make", "kafka"),
        "broker.sqs": Entry("mainstay.app.sqs:make", "sqs"),
        "blobs.memory": Entry("mainstay.app.objects:memory"),
        "blobs.file": Entry("mainstay.app.objects:file"),
        "limiter.memory": Entry("mainstay.app.limiters:memory"),
        "limiter.shared": Entry("mainstay.app.limiters:shared"),
        "limits.redis": Entry("mainstay.app.redis_shared:limits", "redis"),
        "limits.rediss": Entry("mainstay.app.redis_shared:limits", "redis"),
        "cache.redis": Entry("mainstay.app.redis_shared:cache", "redis"),
        "cache.rediss": Entry("mainstay.app.redis_shared:cache", "redis"),
        "signals.redis": Entry("mainstay.app.redis_shared:signals", "redis"),
        "signals.rediss": Entry("mainstay.app.redis_shared:signals", "redis"),
        "leaderboards.redis": Entry("mainstay.app.redis_shared:leaderboards", "redis"),
        "leaderboards.rediss": Entry("mainstay.app.redis_shared:leaderboards", "redis"),
        "mailer.console": Entry("mainstay.app.identity_accounts:console_mailer"),
        "mailer.memory": Entry("mainstay.app.identity_accounts:memory_mailer"),
        "mailer.smtp": Entry("mainstay.app.identity_accounts:smtp_mailer"),
        "secrets.env": Entry("mainstay.app.secret_sources:environment"),
        "secrets.file": Entry("mainstay.app.secret_sources:files"),
        "secrets.vault": Entry("mainstay.app.vault_secrets:make", "vault"),
        "secrets.aws-sm": Entry("mainstay.app.aws_secrets:make", "aws"),
        "server.native": Entry("mainstay.app.servers.native:make"),
        "server.granian": Entry("mainstay.app.servers.granian_server:make", "granian"),
        "server.uvicorn": Entry("mainstay.app.servers.uvicorn_server:make", "uvicorn"),
    }
)


def find(kind: str, name: str) -> Any:
    """Return the factory of an adapter, imported only now. Raises ``Refusal`` for one that is not there."""
    key = f"{kind}.{name}"
    entry = BUILT_IN.get(key) or _installed(key)
    if entry is None:
        known = sorted(each.partition(".")[2] for each in (*BUILT_IN, *_all_installed()) if each.startswith(f"{kind}."))
        raise Refusal(
            f"there is no {kind} called {name!r}", f"known are {', '.join(known)}", f"or install one (group {GROUP})"
        )
    module, _, attribute = entry.factory.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        remedy = f"pip install 'mainstay[{entry.extra}]'" if entry.extra else f"pip install {error.name}"
        raise Refusal(f"the {kind} {name} needs the package {error.name}, which is not installed", remedy) from error


def _installed(key: str) -> Entry | None:
    found = _all_installed().get(key)
    return None if found is None else Entry(found)


def _all_installed() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}
