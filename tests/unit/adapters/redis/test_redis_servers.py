"""Which Redis servers can be brokers, and what is told of those that may lose messages."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import OutOfMemoryError, ResponseError

from mainstay.adapters.redis.broker import check_server, weaknesses
from mainstay.adapters.redis.connection import away
from mainstay.ports.broker import BrokerAway

SOUND = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2"])
def test_versions_that_will_do(version: str) -> None:
    check_server({"redis_version": version, "role": "master", "cluster_enabled": 0})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"redis_version": "6.0.16"}, r"6\.2 or newer"),
        ({}, r"6\.2 or newer"),
        ({"redis_version": "7.0.15", "cluster_enabled": 1}, "Redis Cluster"),
        ({"redis_version": "7.0.15", "role": "slave"}, "name the primary"),
    ],
)
def test_servers_that_will_not_do(told: dict[str, Any], message: str) -> None:
    with pytest.raises(BrokerAway, match=message):
        check_server(told)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"appendonly": "no"}, ["set appendonly yes"]),
        ({"appendfsync": "everysec"}, ["set appendfsync always"]),
        ({"appendfsync": "unknown"}, ["set appendfsync always"]),
        ({"maxmemory-policy": "allkeys-lru"}, ["set maxmemory-policy noeviction"]),
        ({"appendonly": "no", "maxmemory-policy": "volatile-ttl"}, ["appendonly yes", "noeviction"]),
    ],
)
def test_what_may_lose_messages(changed: dict[str, str], words: list[str]) -> None:
    found = list(weaknesses({**SOUND, **changed}))
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ResponseError("WRONGTYPE Operation against a key of hunter2"), "it answers WRONGTYPE"),
        (OutOfMemoryError("Command # 1 (XADD hunter2) caused error"), "it answers with OutOfMemoryError"),
        (ConnectionFailed("Error 111 connecting to hunter2"), "ConnectionError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_failure_is_told_by_its_kind_alone(error: Exception, told: str) -> None:
    gone = away(error)
    assert str(gone).endswith(told)
    assert "hunter2" not in str(gone)
    assert gone.__cause__ is error
