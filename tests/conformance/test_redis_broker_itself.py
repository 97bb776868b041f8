"""What the broker on Redis Streams does beyond what every broker must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from broker_leftovers import clear_redis
from certificates import make_pair
from own_broker import own_redis
from redis.asyncio import Redis
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.redis import member
from mainstay.adapters.redis.broker import RedisBroker
from mainstay.adapters.redis.connection import RedisPlace
from mainstay.ports.broker import BrokerAway
from mainstay.testing.conformance.broker import (
    PAID,
    PLACED,
    TOPICS,
    bodies,
    nothing,
    numbered,
    outgoing,
    published,
    taken,
)
from mainstay.testing.recorder import Recorder

SECRET = "hunter2"


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Redis]:
    async with Redis.from_url(server("MAINSTAY_TEST_REDIS"), protocol=2) as found:
        yield found


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[RedisBroker]:
    parts = urlsplit(server("MAINSTAY_TEST_REDIS"))
    made = RedisBroker(
        RedisPlace(host=parts.hostname or "", port=parts.port or 6379),
        clock=SystemClock(),
        observer=Recorder(),
        prefix=f"t{uuid4().hex[:12]}",
        idle_seconds=0.5,
    )
    await made.open(TOPICS)
    yield made
    await made.close()
    await clear_redis(server("MAINSTAY_TEST_REDIS"), made.streams.prefix)


def own(port: int, user: str | None = None, password: str | None = None, **more: object) -> RedisBroker:
    place = RedisPlace(host="127.0.0.1", port=port, credentials=lambda: (user, password), **more)  # type: ignore[arg-type]
    return RedisBroker(place, clock=SystemClock(), observer=Recorder(), prefix="own")


def notices(broker: RedisBroker) -> list[str]:
    observer = broker._observer
    assert isinstance(observer, Recorder)
    return [notice.message for notice in observer.notices]


async def test_a_stream_is_trimmed_of_what_every_group_has_acknowledged(broker: RedisBroker, client: Redis) -> None:
    stream = broker.streams.of(PLACED)
    quick, slow = await broker.subscribe("quick", TOPICS), await broker.subscribe("slow", TOPICS)
    await published(broker, numbered(1000))
    assert len(await bodies(quick, 1000)) == 1000
    await broker.tidy(TOPICS)
    assert await client.xlen(stream) == 1000
    held = await taken(slow, 1000)
    await slow.acknowledge(held[:300] + held[301:])
    await broker.tidy(TOPICS)
    assert 700 <= await client.xlen(stream) <= 800  # whole nodes are taken away, of a hundred each
    await slow.acknowledge(held[300:301])
    await broker.tidy(TOPICS)
    assert await client.xlen(stream) <= 100
    await quick.close()
    await slow.close()


async def test_what_nobody_is_there_for_is_trimmed_too(broker: RedisBroker, client: Redis) -> None:
    await published(broker, numbered(1000))
    await broker.tidy(TOPICS)
    assert await client.xlen(broker.streams.of(PLACED)) <= 100


async def test_what_was_refused_is_kept_with_its_cause(broker: RedisBroker, client: Redis) -> None:
    joined = await broker.subscribe("billing", TOPICS)
    await published(broker, [outgoing(b"no event")])
    (found,) = await taken(joined, 1)
    await joined.refuse(found, "it is no CloudEvent")
    ((_, fields),) = await client.xrange(broker.streams.dead("billing"))
    assert (fields[b"topic"], fields[b"cause"], fields[b"body"]) == (
        PLACED.encode(),
        b"it is no CloudEvent",
        b"no event",
    )
    await joined.close()


async def test_a_member_without_topics_gets_nothing(broker: RedisBroker) -> None:
    joined = await broker.subscribe("billing", ())
    await published(broker, numbered(2))
    await nothing(joined)
    await joined.close()


async def test_what_a_member_took_that_died_goes_to_another(broker: RedisBroker) -> None:
    dead, alive = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(5))
    assert [one.times for one in await taken(dead, 5)] == [1] * 5
    again = await taken(alive, 5)
    assert sorted(one.body for one in again) == [b"%d" % n for n in range(5)]
    assert {one.times for one in again} == {2}
    await alive.acknowledge(again)
    await nothing(dead)
    await alive.close()
    await dead.close()


async def test_a_topic_that_no_living_member_asks_for_is_given_up(
    broker: RedisBroker, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "TIDY_SECONDS", 0.0)
    old, new = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", (PAID,))
    await new.take(1, 0.01)
    assert len(await client.xinfo_groups(broker.streams.of(PLACED))) == 1
    await old.close()
    async with asyncio.timeout(30):
        while await client.smembers(broker.streams.topics("billing")) != {PAID.encode()}:  # type: ignore[misc]
            await new.take(1, 0.05)
    assert await client.xinfo_groups(broker.streams.of(PLACED)) == []
    await new.close()


@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_a_member_goes_on_after_the_server_lost_its_data(
    broker: RedisBroker, client: Redis, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(member, "LOOK_SECONDS", seconds)
    joined = await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(1))
    assert await bodies(joined, 1) == [b"0"]
    await client.delete(*(broker.streams.of(topic) for topic in TOPICS))
    await published(broker, [outgoing(b"after")])
    assert await bodies(joined, 1) == [b"after"]
    await joined.close()


async def test_one_topic_that_cannot_be_written_holds_up_its_keys_only(broker: RedisBroker, client: Redis) -> None:
    await client.set(broker.streams.of(PAID), "no stream")
    first, second = outgoing(b"1", PAID, key="a"), outgoing(b"2", PLACED, key="a")
    other = outgoing(b"3", PLACED, key="b")
    assert await broker.publish([first, second, other]) == {other.id}
    with pytest.raises(BrokerAway, match="WRONGTYPE"):
        await broker.publish([first])


async def test_a_server_that_keeps_nothing_is_told_of(tmp_path: Path) -> None:
    with own_redis(tmp_path, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru") as running:
        broker = own(running.port)
        await broker.open(TOPICS)
        assert not broker.traits.durable
        (told,) = notices(broker)
        assert "appendonly yes" in told
        assert "noeviction" in told
        await broker.close()


async def test_a_server_that_does_not_show_its_settings_is_told_of(tmp_path: Path) -> None:
    with own_redis(tmp_path, "--user", *f"default on >{SECRET} ~* &* +@all -config".split()) as running:
        broker = own(running.port, password=SECRET)
        await broker.open(TOPICS)
        assert broker.traits.durable
        assert "appendfsync always" in notices(broker)[0]
        await broker.close()


async def test_a_server_that_keeps_all_is_not_told_of(tmp_path: Path) -> None:
    with own_redis(tmp_path) as running:
        broker = own(running.port)
        await broker.open(TOPICS)
        assert notices(broker) == []
        assert broker.traits.durable
        await broker.close()


async def test_what_was_confirmed_survives_the_kill_of_the_server(tmp_path: Path) -> None:
    with own_redis(tmp_path) as running:
        broker = own(running.port)
        await broker.open(TOPICS)
        joined = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(200))
        running.kill()
        with pytest.raises(BrokerAway):
            await broker.publish(numbered(1))
        with pytest.raises(BrokerAway):
            async with asyncio.timeout(30):
                while True:
                    await joined.take(1, 0.1)
        running.start()
        assert sorted(map(int, await bodies(joined, 200))) == list(range(200))
        await joined.close()
        await broker.close()


async def test_a_server_without_room_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with own_redis(tmp_path, "--maxmemory", "6mb") as running:
        broker = own(running.port)
        await broker.open(TOPICS)
        joined = await broker.subscribe("billing", TOPICS)
        kept = 0
        with pytest.raises(BrokerAway, match="OutOfMemory"):
            while True:
                kept += len(await broker.publish([outgoing(b"x" * 100_000)]))
        assert kept
        assert len(await bodies(joined, kept)) == kept
        broker._tidy_at = 0.0
        await published(broker, [outgoing(b"y" * 100_000)])
        assert await bodies(joined, 1) == [b"y" * 100_000]
        await joined.close()
        await broker.close()


async def test_tls_and_a_password(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    with own_redis(tmp_path, "--requirepass", SECRET, tls=pair) as running:
        broker = own(running.port, password=SECRET, tls=True, ca=pair.certificate)
        await broker.open(TOPICS)
        assert len(await broker.publish(numbered(3))) == 3
        await broker.close()
        for wrong in (
            {"password": SECRET, "tls": True},
            {"password": f"{SECRET}!", "tls": True, "ca": pair.certificate},
            {"password": SECRET},
        ):
            refused = own(running.port, **wrong)
            with pytest.raises(BrokerAway) as told:
                await refused.open(TOPICS)
            assert SECRET not in str(told.value)
            await refused.close()


async def test_a_user_of_an_access_list_and_its_password(tmp_path: Path) -> None:
    """The user may do what the broker needs, on its own keys, and nothing else."""
    pair = make_pair(tmp_path)
    allowed = f"shop on >{SECRET} ~own:* &own:* +@all -@admin -@dangerous +info"
    with own_redis(tmp_path, "--user", *["default", "off"], "--user", *allowed.split(), tls=pair) as running:
        broker = own(running.port, user="shop", password=SECRET, tls=True, ca=pair.certificate)
        await broker.open(TOPICS)
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(3))
        await member.acknowledge(await taken(member, 3))
        await member.close()
        await broker.close()
        for user, password in (("shop", f"{SECRET}!"), ("nobody", SECRET), (None, SECRET)):
            refused = own(running.port, user=user, password=password, tls=True, ca=pair.certificate)
            with pytest.raises(BrokerAway) as told:
                await refused.open(TOPICS)
            assert SECRET not in str(told.value)
            await refused.close()


async def test_a_password_that_changed_counts_for_the_next_connection(tmp_path: Path) -> None:
    with own_redis(tmp_path, "--requirepass", SECRET) as running:
        known = [SECRET]
        place = RedisPlace(host="127.0.0.1", port=running.port, credentials=lambda: (None, known[-1]))
        broker = RedisBroker(place, clock=SystemClock(), observer=Recorder(), prefix="own")
        await broker.open(TOPICS)
        async with Redis(port=running.port, password=SECRET) as client:
            await client.config_set("requirepass", f"{SECRET}!")
            known.append(f"{SECRET}!")
            await client.client_kill_filter(_type="normal", skipme=True)
        await published(broker, numbered(3))
        await broker.close()
