"""The limiter on Redis does what every limiter must, on the server that MAINSTAY_TEST_REDIS names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.conformance.redis_servers import OwnRedis, clear, link_to
from tests.conformance.servers import server

from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.redis.limiter import RedisLimiter
from mainstay.adapters.redis.link import RedisLink
from mainstay.model.limits import limit
from mainstay.model.problem import Unavailable
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter
from mainstay.testing.conformance.limiter import LimiterConformance, SettableClock
from mainstay.testing.recorder import Recorder


class TestRedisLimiter(LimiterConformance):
    @pytest_asyncio.fixture(autouse=True)
    async def _links(self) -> AsyncIterator[None]:
        self.links: list[RedisLink] = []
        yield
        for link in self.links:
            await clear(link)

    def make_limiter(self, clock: Clock, max_keys: int) -> Limiter:
        self.links.append(link_to())
        return RedisLimiter(self.links[-1], max_keys=max_keys, clock=clock)


@pytest_asyncio.fixture
async def link() -> AsyncIterator[RedisLink]:
    made = link_to()
    yield made
    await clear(made)


async def test_replicas_share_their_counts_by_the_time_of_the_server(link: RedisLink) -> None:
    other = link_to(service=link.base.partition("}")[0][1:])
    one, two = RedisLimiter(link), RedisLimiter(other)
    ten = limit("10/hour")
    answers = await asyncio.gather(*(made.charge([(ten, "ann")]) for _ in range(15) for made in (one, two)))
    assert sum(verdict.allowed for (verdict,) in answers) == 10
    (verdict,) = await one.peek([(ten, "ann")])
    assert not verdict.allowed
    assert 300 < verdict.retry_after <= 360
    await other.close()


async def test_one_call_is_one_round_trip(link: RedisLink) -> None:
    limiter = RedisLimiter(link)
    charges = [(limit("10/hour", name=f"n{n}"), "ann") for n in range(5)]
    await limiter.charge(charges)
    async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client, client.monitor() as monitor:
        await limiter.charge(charges)
        await client.publish("behind", link.base)
        asked = []
        while True:
            told = await monitor.next_command()
            if told["command"].startswith("PUBLISH behind"):
                break
            if told["client_type"] != "lua" and link.base in told["command"]:
                asked.append(told["command"].split()[0])
    assert asked == ["EVALSHA"]


async def test_keys_are_forgotten_when_their_quota_is_whole(link: RedisLink) -> None:
    limiter = RedisLimiter(link)
    brief = limit("100/second")
    await limiter.charge([(brief, "ann")])
    async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client, asyncio.timeout(30):
        assert await client.keys(f"{link.base}*")
        while await client.keys(f"{link.base}*"):
            await asyncio.sleep(0.1)


async def test_what_a_key_says_is_not_told_to_redis(link: RedisLink) -> None:
    await RedisLimiter(link).charge([(limit("10/hour"), "ann@example.org")])
    async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client:
        assert not any(b"ann" in key for key in await client.keys(f"{link.base}*"))


async def test_a_limiter_without_room_is_refused(link: RedisLink) -> None:
    with pytest.raises(ValueError, match="max_keys is 0"):
        RedisLimiter(link, max_keys=0)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    made = OwnRedis(tmp_path)
    await made.start()
    yield made
    await made.kill()


def _notices(recorder: Recorder) -> list[str]:
    return [one.event for one in recorder.notices]


async def test_calls_are_counted_here_while_redis_is_away_and_there_once_it_is_back(
    own: OwnRedis, recorder: Recorder
) -> None:
    clock = SettableClock()
    made = link_to(own.url, observer=recorder, clock=clock, timeout=5.0)
    limiter = RedisLimiter(made, fallback=MemoryLimiter(clock))
    three = limit("3/hour")
    assert [v.allowed for _ in range(2) for v in await limiter.charge([(three, "ann")])] == [True, True]
    await own.kill()
    assert [v.allowed for _ in range(5) for v in await limiter.charge([(three, "ann")])] == [True] * 3 + [False] * 2
    (verdict,) = await limiter.peek([(three, "ann")])
    assert not verdict.allowed
    assert limiter.statistics()["charges_without_redis"] == 6
    assert limiter.statistics()["redis_away"] == 1
    await own.start()
    clock.at += 2
    assert [v.allowed for _ in range(2) for v in await limiter.charge([(three, "ann")])] == [True, False]
    assert _notices(recorder) == ["redis_away", "redis_back"]
    assert limiter.statistics()["redis_away"] == 0
    await made.close()


async def test_calls_are_refused_while_redis_is_away_where_nothing_else_may_count(
    own: OwnRedis, recorder: Recorder
) -> None:
    made = link_to(own.url, observer=recorder, timeout=5.0)
    limiter = RedisLimiter(made)
    await own.kill()
    for _ in range(3):
        with pytest.raises(Unavailable) as refused:
            await limiter.charge([(limit("3/hour"), "ann")])
        assert refused.value.retry_after == 1.0
    assert _notices(recorder) == ["redis_away"]
    await made.close()


async def test_limits_hold_under_load_while_redis_is_killed_and_started_again(
    own: OwnRedis, recorder: Recorder
) -> None:
    made = link_to(own.url, observer=recorder, timeout=1.0)
    many = limit("50/hour")
    limiter = RedisLimiter(made, fallback=MemoryLimiter(SettableClock()))
    admitted, asked, stop = 0, 0, asyncio.Event()

    async def caller() -> None:
        nonlocal admitted, asked
        while not stop.is_set():
            (verdict,) = await limiter.charge([(many, "ann")])
            admitted, asked = admitted + verdict.allowed, asked + 1
            await asyncio.sleep(0)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(caller())
        while asked < 100:
            await asyncio.sleep(0.01)
        await own.kill()
        while limiter.statistics()["charges_without_redis"] < 100:
            await asyncio.sleep(0.01)
        await own.start()
        before = limiter.statistics()["redis_charges"]
        while limiter.statistics()["redis_charges"] < before + 100:
            await asyncio.sleep(0.01)
        stop.set()
    # Redis keeps what it has counted over its kill; what each way counts is bounded, and nothing was raised.
    assert 50 <= admitted <= 100
    assert _notices(recorder)[:2] == ["redis_away", "redis_back"]
    await made.close()
