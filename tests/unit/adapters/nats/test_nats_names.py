"""What streams, subjects and consumers are called, and what is told of streams that may lose messages."""

from __future__ import annotations

import pytest
from nats.errors import Error
from nats.js import api
from nats.js.errors import APIError

from mainstay.adapters.nats.broker import weaknesses
from mainstay.adapters.nats.connection import away
from mainstay.adapters.nats.stream import Names

NAMES = Names("shop")


def test_subjects_are_topics_behind_the_prefix() -> None:
    assert NAMES.subject("orders.OrderPlaced") == "shop.event.orders.OrderPlaced"
    assert NAMES.dead("billing.eu") == "shop.dead.billing-eu"


def test_each_group_and_topic_has_a_consumer_of_its_own() -> None:
    pairs = [
        ("billing", "a.b"),
        ("billing", "a_b"),
        ("billing", "a-b"),
        ("billing-a", "b"),
        ("billing-", "-a.b"),
        ("billing--a", "b"),
        ("billing", "-a.b"),
        ("b\xe4", "a"),
    ]
    names = [NAMES.consumer(group, topic) for group, topic in pairs]
    assert len(set(names)) == len(names)
    assert all(set(name).isdisjoint(" .*>/\\") for name in names)


def test_a_group_does_not_take_the_consumers_of_another_for_its_own() -> None:
    assert not NAMES.consumer("billing-eu", "a.b").startswith(NAMES.group("billing"))
    assert not NAMES.consumer("billing--eu", "a.b").startswith(NAMES.group("billing"))
    assert NAMES.consumer("billing", "a.b").startswith(NAMES.group("billing"))


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (api.StreamConfig(storage=api.StorageType.FILE, discard=api.DiscardPolicy.NEW, max_bytes=1000), 0),
        (api.StreamConfig(storage=api.StorageType.FILE, max_bytes=-1, max_age=0.0, max_msgs=-1), 0),
        (api.StreamConfig(storage=api.StorageType.FILE, max_bytes=1000), 1),
        (api.StreamConfig(storage=api.StorageType.MEMORY, max_age=60.0), 2),
    ],
)
def test_what_may_lose_messages(config: api.StreamConfig, count: int) -> None:
    assert len(list(weaknesses(config))) == count


def test_a_failure_is_told_by_its_kind_and_the_servers_own_word() -> None:
    assert str(away(None)).endswith("it is not connected")
    assert str(away(TimeoutError("hunter2"))).endswith("TimeoutError")
    assert str(away(Error("nats: 'Authorization Violation'"))).endswith("'Authorization Violation'")
    assert "10077" in str(away(APIError(code=500, err_code=10077)))
