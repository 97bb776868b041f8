"""Which database is the broker, by the settings, and what is refused of one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from mainstay.adapters.database.broker import DatabaseBroker
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.nats.broker import NatsBroker
from mainstay.adapters.redis.broker import RedisBroker
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.brokers import make_broker
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load
from mainstay.ports.broker import Broker, Outgoing
from mainstay.testing.recorder import Recorder

SECRET = "hunter2"


def made(folder: Path, url: str, database: str = "sqlite:///shop.sqlite") -> Broker | None:
    environ = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": database, "MAINSTAY_EVENTS": url}
    return make_broker(load(folder, environ=environ), SystemClock(), Recorder())


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///events.sqlite", SqliteStore),
        ("postgresql://db/events", PostgresStore),
        ("postgres://db/events", PostgresStore),
        ("mysql://shop@db/events", MysqlStore),
        ("mariadb://shop@db/events", MysqlStore),
    ],
)
def test_the_url_says_which_store(tmp_path: Path, url: str, kind: type) -> None:
    found = made(tmp_path, url)
    assert isinstance(found, DatabaseBroker)
    assert isinstance(found.store, kind)


async def test_its_tables_are_made_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = made(tmp_path, "sqlite:///events.sqlite")
    assert found is not None
    await found.open(["orders.OrderPlaced"])
    member = await found.subscribe("billing", ["orders.OrderPlaced"])
    message = Outgoing(id=uuid4(), topic="orders.OrderPlaced", body=b"{}")
    assert await found.publish([message]) == {message.id}
    assert [one.body for one in await member.take(1, 0)] == [b"{}"]
    await member.close()
    await found.close()
    assert (tmp_path / "events.sqlite").exists()


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("sqlite:///shop.sqlite", "sqlite:///shop.sqlite"),
        (f"postgresql://broker:{SECRET}@db:5432/shop", "postgresql://shop:other@db:5432/shop"),
    ],
)
def test_the_services_own_database_is_refused(tmp_path: Path, url: str, database: str) -> None:
    with pytest.raises(Refusal, match=r"events \(.*MAINSTAY_EVENTS.*\) names this service's own database") as refused:
        made(tmp_path, url, database)
    assert SECRET not in f"{refused.value.message} {refused.value.remedies}"


def test_what_is_refused_of_a_database_is_told_of_the_setting_that_named_it(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"events \(.*MAINSTAY_EVENTS.*\) names no file"):
        made(tmp_path, "sqlite://host/events.sqlite")


async def test_redis_and_nats_are_found_by_their_schemes(tmp_path: Path) -> None:
    for url, kind in {
        "redis://host": RedisBroker,
        "rediss://host": RedisBroker,
        "nats://host": NatsBroker,
        "tls://host": NatsBroker,
    }.items():
        found = made(tmp_path, url)
        assert isinstance(found, kind)
        await found.close()
