"""What the broker on NATS JetStream does beyond what every broker must."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import nats
import pytest
import pytest_asyncio
from broker_leftovers import clear_nats
from certificates import make_pair
from nats.aio.client import Client
from nats.js import api
from own_broker import own_nats
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.nats import member
from mainstay.adapters.nats.broker import NatsBroker
from mainstay.adapters.nats.connection import NatsPlace
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
async def client() -> AsyncIterator[Client]:
    found = await nats.connect(server("MAINSTAY_TEST_NATS"))
    yield found
    await found.close()


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[NatsBroker]:
    made = NatsBroker(
        NatsPlace(servers=(urlsplit(server("MAINSTAY_TEST_NATS")).netloc,)),
        clock=SystemClock(),
        observer=Recorder(),
        prefix=f"t{uuid4().hex[:12]}",
        ack_seconds=1.0,
    )
    await made.open(TOPICS)
    yield made
    await made.close()
    await clear_nats(server("MAINSTAY_TEST_NATS"), made.names.prefix)


def own(port: int, user: str | None = None, password: str | None = None, **more: object) -> NatsBroker:
    place = NatsPlace(servers=(f"127.0.0.1:{port}",), credentials=lambda: (user, password), **more)  # type: ignore[arg-type]
    return NatsBroker(place, clock=SystemClock(), observer=Recorder(), prefix="own")


async def kept(client: Client, broker: NatsBroker) -> int:
    return (await client.jetstream().stream_info(broker.names.stream)).state.messages


async def until_kept(client: Client, broker: NatsBroker, number: int) -> None:
    async with asyncio.timeout(30):
        while await kept(client, broker) != number:
            await asyncio.sleep(0.05)


async def test_a_message_is_kept_until_every_group_has_it(broker: NatsBroker, client: Client) -> None:
    await published(broker, numbered(3))
    await until_kept(client, broker, 0)  # nobody is there for them
    quick, slow = await broker.subscribe("quick", TOPICS), await broker.subscribe("slow", TOPICS)
    await published(broker, numbered(10))
    await bodies(quick, 10)
    assert await kept(client, broker) == 10
    await bodies(slow, 10)
    await until_kept(client, broker, 0)
    await quick.close()
    await slow.close()


async def test_a_message_that_is_published_again_is_one(broker: NatsBroker) -> None:
    joined = await broker.subscribe("billing", TOPICS)
    message = outgoing(b"once")
    assert await broker.publish([message]) == await broker.publish([message]) == {message.id}
    assert await bodies(joined, 1) == [b"once"]
    await nothing(joined)
    await joined.close()


async def test_what_was_refused_is_kept_with_its_cause(broker: NatsBroker, client: Client) -> None:
    joined = await broker.subscribe("billing", TOPICS)
    await published(broker, [outgoing(b"no event")])
    (found,) = await taken(joined, 1)
    await joined.refuse(found, "it is no CloudEvent,\nbut something else")
    dead = await client.jetstream().get_last_msg(broker.names.dead_stream, broker.names.dead("billing"))
    assert dead.data == b"no event"
    assert dead.headers is not None
    assert dead.headers["Mainstay-Topic"] == PLACED
    assert dead.headers["Mainstay-Cause"].startswith("it is no CloudEvent,")
    await joined.close()


async def test_a_member_without_topics_gets_nothing(broker: NatsBroker) -> None:
    joined = await broker.subscribe("billing", ())
    await published(broker, numbered(2))
    await nothing(joined)
    await joined.close()


async def test_what_a_member_took_that_died_goes_to_another(broker: NatsBroker) -> None:
    dead, alive = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(5))
    assert [one.times for one in await taken(dead, 5)] == [1] * 5
    again: dict[bytes, int] = {}
    async with asyncio.timeout(30):
        while len(again) < 5:
            got = [*await alive.take(5, 0.2), *await dead.take(5, 0.2)]
            again |= {one.body: one.times for one in got if one.times > 1}
    assert sorted(again) == [b"%d" % n for n in range(5)]
    await alive.close()
    await dead.close()


async def test_a_topic_that_no_living_member_asks_for_is_given_up(
    broker: NatsBroker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "TIDY_SECONDS", 0.0)
    old, new = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", (PAID,))
    await old.take(1, 0.1)
    await old.close()

    async def consumers() -> set[str]:
        await new.take(1, 0.1)
        return {one.name for one in await client.jetstream().consumers_info(broker.names.stream)}

    async with asyncio.timeout(30):
        while await consumers() != {broker.names.consumer("billing", PAID)}:
            await asyncio.sleep(0.05)
    await new.close()


async def test_a_member_goes_on_after_the_server_lost_its_data(broker: NatsBroker, client: Client) -> None:
    joined = await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(1))
    assert await bodies(joined, 1) == [b"0"]
    await client.jetstream().delete_stream(broker.names.stream)
    with pytest.raises(BrokerAway):
        await broker.publish([outgoing(b"lost")])

    async def found() -> list[bytes]:
        with suppress(BrokerAway):
            return [one.body for one in await joined.take(5, 0.5)]
        return []

    await found()
    await found()
    await published(broker, [outgoing(b"after")])
    async with asyncio.timeout(30):
        while b"after" not in await found():
            pass
    await joined.close()


async def test_a_stream_that_may_drop_messages_is_left_as_it_is_and_told_of(client: Client) -> None:
    prefix = f"t{uuid4().hex[:12]}"
    config = api.StreamConfig(name=prefix, subjects=[f"{prefix}.event.>"], max_age=3600, storage=api.StorageType.MEMORY)
    await client.jetstream().add_stream(config)
    observer = Recorder()
    place = NatsPlace(servers=(urlsplit(server("MAINSTAY_TEST_NATS")).netloc,))
    broker = NatsBroker(place, clock=SystemClock(), observer=observer, prefix=prefix)
    await broker.open(TOPICS)
    assert not broker.traits.durable
    (notice,) = observer.notices
    assert "kept in memory" in notice.message
    assert "too old" in notice.message
    await broker.close()
    await clear_nats(server("MAINSTAY_TEST_NATS"), prefix)


async def test_what_was_confirmed_survives_the_kill_of_the_server(tmp_path: Path) -> None:
    with own_nats(tmp_path) as running:
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


async def test_tls_and_a_password(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    trusting = ssl.create_default_context(cafile=pair.certificate)
    with own_nats(tmp_path, "--user", "shop", "--pass", SECRET, tls=pair) as running:
        broker = own(running.port, user="shop", password=SECRET, tls=trusting)
        await broker.open(TOPICS)
        assert len(await broker.publish(numbered(3))) == 3
        await broker.close()
        for wrong in (
            {"user": "shop", "password": SECRET, "tls": ssl.create_default_context()},
            {"user": "shop", "password": f"{SECRET}!", "tls": trusting},
            {"user": "shop", "password": SECRET},
        ):
            refused = own(running.port, **wrong)
            with pytest.raises(BrokerAway) as told:
                await refused.open(TOPICS)
            assert SECRET not in str(told.value)
            await refused.close()


async def test_a_token(tmp_path: Path) -> None:
    with own_nats(tmp_path, "--auth", SECRET) as running:
        broker = own(running.port, user=SECRET)
        await broker.open(TOPICS)
        assert len(await broker.publish(numbered(3))) == 3
        await broker.close()


async def test_before_it_is_open_it_is_away() -> None:
    broker = own(9)
    with pytest.raises(BrokerAway, match="not connected"):
        await broker.publish(numbered(1))
    with pytest.raises(BrokerAway):
        await broker.subscribe("billing", TOPICS)
    await broker.close()
