"""The pool of connections, on doubles of them: no one is lost, none is lent twice, none is lent that is unfit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from mainstay.adapters.sql import pooling
from mainstay.adapters.sql.outages import ConnectionLost, DatabaseAway, PoolExhausted
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.postgres import Link
from mainstay.model.problem import DeadlineExceeded


class Double(Link):
    """A connection that does as it is told."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.broken = self.cut = False
        self.used = 0.0
        self.begun = False
        self.begins_late = False  # a BEGIN that was given up is carried out all the same
        self.answers: Callable[[], None] = lambda: None
        self.tried = 0
        self._told: Callable[[Link], None] = lambda _: None

    @property
    def closed(self) -> bool:
        return self.broken

    @property
    def in_transaction(self) -> bool:
        return self.begun

    async def execute(self, script: str, timeout: float | None = None) -> str:
        self.tried += 1
        await asyncio.sleep(0)
        self.begun = self.begun or self.begins_late
        self.answers()
        return script

    def when_ended(self, told: Callable[[Link], None]) -> None:
        self._told = told

    def terminate(self) -> None:
        if not self.broken:
            self.broken = True
            self._told(self)

    async def close(self) -> None:
        self.terminate()


class Server:
    """Opens doubles, or refuses to."""

    def __init__(self) -> None:
        self.made: list[Double] = []
        self.away = False
        self.room = 100
        self.pause = 0.0
        self.tries = 0

    async def open(self) -> Link:
        self.tries += 1
        await asyncio.sleep(self.pause)
        if self.away or len(self.living) >= self.room:
            raise OSError("refused")
        self.made.append(Double(len(self.made)))
        return self.made[-1]

    @property
    def living(self) -> list[Double]:
        return [link for link in self.made if not link.broken]

    def fall(self) -> None:
        """End all that is open, and take no more."""
        self.away = True
        for link in self.living:
            link.terminate()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "RETRY_SECONDS", 0.02)


def make(server: Server, size: int = 3, **given: Any) -> Pool:
    options = {"queue_limit": 8, "wait_seconds": 2.0, "check_seconds": 30.0, **given}
    return Pool(server.open, size=size, **options)


async def fails(pool: Pool, patience: float | None = None) -> type[BaseException]:
    with pytest.raises((DatabaseAway, PoolExhausted, DeadlineExceeded)) as caught:
        await pool.take(patience)
    return caught.type


async def healthy(pool: Pool, seconds: float = 2.0) -> None:
    async with asyncio.timeout(seconds):
        while pool.failure is not None or pool.opened == 0:
            await asyncio.sleep(0.005)


async def test_the_last_given_back_is_lent_first(server: Server) -> None:
    pool = make(server)
    links = [await pool.take() for _ in range(3)]
    assert len({id(link) for link in links}) == 3
    for link in links:
        pool.give(link)
    assert await pool.take() is links[2]
    assert await pool.take() is links[1]
    assert (pool.lent, pool.opened, pool.longest > 0.0) == (2, 3, True)


async def test_no_more_are_opened_than_there_may_be_and_who_waits_is_served_in_order(server: Server) -> None:
    server.pause = 0.005
    pool = make(server, size=2)
    served: list[int] = []

    async def use(number: int) -> None:
        link = await pool.take()
        served.append(number)
        await asyncio.sleep(0.002)
        pool.give(link)

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(use(number))
    assert served == list(range(8))
    assert (len(server.made), pool.opened, pool.lent, pool.waiting) == (2, 2, 0, 0)


async def test_who_waits_too_long_is_told_why(server: Server) -> None:
    pool = make(server, size=1, wait_seconds=0.03, queue_limit=2)
    link = await pool.take()
    assert await fails(pool) is PoolExhausted
    assert await fails(pool, 0.01) is DeadlineExceeded
    assert await fails(pool, 9.0) is PoolExhausted
    waiting = [asyncio.create_task(pool.take()) for _ in range(2)]
    await asyncio.sleep(0)
    assert pool.delay > 0.0
    assert await fails(pool) is PoolExhausted
    pool.give(link)
    assert await waiting[0] is link
    with pytest.raises(PoolExhausted):
        await waiting[1]
    assert (pool.waiting, pool.delay) == (0, 0.0)


async def test_a_server_that_does_not_answer_is_away_not_full(server: Server) -> None:
    server.pause = 5.0
    pool = make(server, wait_seconds=0.02)
    assert await fails(pool) is DatabaseAway
    await pool.stop(0.1)


@pytest.mark.parametrize("turns", range(12))
async def test_a_call_that_is_cancelled_at_any_moment_loses_no_connection(server: Server, turns: int) -> None:
    pool = make(server, size=1, check_seconds=1e-9)  # an idle one is always tried
    pool.give(await pool.take())
    busy = await pool.take() if turns % 2 else None
    task = asyncio.create_task(pool.take())
    for turn in range(turns // 2):
        await asyncio.sleep(0)
        if busy is not None and turn == 2:
            pool.give(busy)
            busy = None
    task.cancel()
    done = await asyncio.gather(task, return_exceptions=True)
    if isinstance(done[0], Link):
        pool.give(done[0])
    if busy is not None:
        pool.give(busy)
    async with asyncio.timeout(1):
        link = await pool.take()
    assert not link.closed
    assert (pool.opened, pool.lent, pool.waiting, len(server.living)) == (1, 1, 0, 1)


async def test_at_random_nothing_is_lost_and_nothing_is_lent_twice(server: Server) -> None:
    chance = random.Random(7)
    server.pause = 0.001
    pool = make(server, size=4, queue_limit=100)
    used: set[Link] = set()

    async def use() -> None:
        link = await pool.take()
        try:
            assert link not in used
            assert not link.closed
            used.add(link)
            await asyncio.sleep(chance.random() * 0.003)
            link.cut = chance.random() < 0.2
            if chance.random() < 0.2:
                link.terminate()
        finally:
            used.discard(link)
            pool.give(link)
            pool.give(link)  # once more is no harm

    async def some() -> None:
        for _ in range(100):
            task = asyncio.create_task(use())
            await asyncio.sleep(chance.random() * 0.002)
            if chance.random() < 0.4:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(some() for _ in range(12)))
    await asyncio.sleep(0.02)
    assert (pool.lent, pool.waiting) == (0, 0)
    assert pool.opened == len(server.living) <= 4
    links = [await pool.take() for _ in range(4)]
    assert not any(link.closed or link.in_transaction for link in links)


async def test_what_is_closed_or_in_a_transaction_is_not_lent_again(server: Server) -> None:
    pool = make(server, size=1)
    first = await pool.take()
    first.terminate()
    pool.give(first)
    second = await pool.take()
    assert second is not first
    second.begun = True  # type: ignore[attr-defined]
    pool.give(second)
    assert second.closed
    assert await pool.take() not in (first, second)
    assert (pool.opened, pool.lost) == (1, 2)


async def test_one_that_ends_as_it_is_handed_over_is_not_lent(server: Server) -> None:
    pool = make(server, size=1)
    first = await pool.take()
    waiting = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    pool.give(first)
    first.terminate()
    second = await waiting
    assert second is not first
    assert (pool.opened, pool.lent) == (1, 1)


async def test_a_begin_that_was_given_up_and_carried_out_is_noticed(server: Server) -> None:
    pool = make(server, size=1)
    first = await pool.take()
    assert isinstance(first, Double)
    first.cut = first.begins_late = True
    pool.give(first)
    second = await pool.take()
    assert second is not first
    assert first.broken


async def test_what_was_given_up_is_waited_for(server: Server) -> None:
    pool = make(server, size=1)
    first = await pool.take()
    first.cut = True
    pool.give(first)
    assert await pool.take() is first
    assert isinstance(first, Double)
    assert (first.tried, first.cut) == (1, False)


async def test_one_that_does_not_answer_takes_the_older_ones_with_it(server: Server) -> None:
    pool = make(server, check_seconds=1e-9)
    links = [await pool.take() for _ in range(3)]
    for link in links:
        assert isinstance(link, Double)
        link.answers = _lost
        pool.give(link)
    fresh = await pool.take()
    assert fresh not in links
    assert sum(link.tried for link in links if isinstance(link, Double)) == 1
    assert pool.opened == len(server.living)


def _lost() -> None:
    raise ConnectionLost("cut")


@pytest.mark.parametrize("waiting", [0, 1, 2, 3, 7])
async def test_a_database_that_is_away_is_told_at_once_and_found_when_it_is_back(server: Server, waiting: int) -> None:
    """However many tried to open one in the moment in which it went."""
    pool = make(server)
    await pool.start()
    assert pool.failure is None
    server.fall()
    calls = [asyncio.create_task(fails(pool)) for _ in range(waiting)]
    assert set(await asyncio.gather(*calls)) <= {DatabaseAway}
    await asyncio.sleep(0.01)
    assert "OSError" in str(pool.failure)
    assert pool.opened == 0
    tries = server.tries
    assert await fails(pool) is DatabaseAway
    assert server.tries == tries  # it was not asked for each call
    server.away = False
    await healthy(pool)
    pool.give(await pool.take())
    assert pool.opened == len(server.living) == 1


async def test_it_is_away_while_connections_are_lent_and_back_when_they_are_given_back(server: Server) -> None:
    pool = make(server)
    links = [await pool.take() for _ in range(3)]
    server.fall()
    for link in links:
        pool.give(link)
    await asyncio.sleep(0.005)
    assert pool.failure is not None
    server.away = False
    await healthy(pool)


async def test_a_server_without_room_for_more_is_not_away(server: Server) -> None:
    server.room = 1
    pool = make(server)
    link = await pool.take()
    waiting = asyncio.create_task(pool.take())
    await asyncio.sleep(0.01)
    assert pool.failure is None
    assert not waiting.done()
    pool.give(link)
    assert await waiting is link


async def test_all_that_is_cut_but_one_is_opened_again_for_who_waits(server: Server) -> None:
    pool = make(server, size=2)
    links = [await pool.take() for _ in range(2)]
    waiting = [asyncio.create_task(pool.take()) for _ in range(2)]
    await asyncio.sleep(0)
    for link in links:
        link.terminate()
        pool.give(link)
    async with asyncio.timeout(1):
        fresh = await asyncio.gather(*waiting)
    assert not any(link.closed for link in fresh)


async def test_a_start_without_a_database_leaves_nothing_running(server: Server) -> None:
    server.away = True
    pool = make(server)
    with pytest.raises(DatabaseAway):
        await pool.start()
    await pool.stop(0.1)
    tries = server.tries
    await asyncio.sleep(0.05)
    assert server.tries == tries


async def test_a_stop_waits_for_what_is_lent_and_refuses_the_rest(server: Server) -> None:
    pool = make(server, size=2)
    link, kept = await pool.take(), await pool.take()
    waiting = asyncio.create_task(pool.take())
    stopping = asyncio.create_task(pool.stop(0.05))
    await asyncio.sleep(0.01)
    pool.give(link)
    assert await waiting is link
    pool.give(link)
    await stopping
    assert kept.closed
    assert not server.living
    assert await fails(pool) is DatabaseAway
    pool.give(kept)
    assert pool.lent == 0
