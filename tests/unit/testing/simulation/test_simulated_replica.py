"""Replicas of a simulation: their lives, what befalls them, and the sources that each has for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from mainstay.ports.broker import BrokerAway
from mainstay.ports.observer import Notice
from mainstay.testing.fixed import START
from mainstay.testing.simulation.broker import SimulatedExchange
from mainstay.testing.simulation.line import Line, LineCut, Weather
from mainstay.testing.simulation.loop import simulated_loop
from mainstay.testing.simulation.nemesis import Climate, Nemesis
from mainstay.testing.simulation.replica import IDLE_SECONDS, Life, Replica, Servers
from mainstay.testing.simulation.sources import SimulatedClock, SimulatedEntropy, SimulatedIds, chance_of

Main = Callable[[Servers], Coroutine[Any, Any, None]]


def run(main: Main, *, broker: bool = False, seed: int = 1) -> None:
    loop = simulated_loop(seed)
    exchange = SimulatedExchange(chance_of(seed, "exchange")) if broker else None
    loop.run(main(Servers(loop, seed, exchange=exchange)))
    assert loop.complaints == []


class Ticks:
    """What the lives of a replica do: they tick once a second."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.at: list[float] = []

    async def live(self, life: Life) -> None:
        self.lives.append(life)
        while True:
            self.at.append(life.clock.monotonic())
            await life.clock.sleep(1.0)


def test_one_life_follows_another() -> None:
    async def main(servers: Servers) -> None:
        ticks = Ticks()
        replica = Replica(servers, "one", ticks.live)
        replica.start()
        replica.start()
        await asyncio.sleep(2.5)
        replica.kill(pause=10.0)
        replica.kill(pause=10.0)
        replica.stall(5.0)
        replica.cut("database", 5.0)
        assert replica.life is None
        await asyncio.sleep(11.25)
        assert ticks.at == [0.0, 1.0, 2.0, 12.5, 13.5]
        assert [life.name for life in ticks.lives] == ["one.1", "one.2"]
        assert [life.process.alive for life in ticks.lives] == [False, True]
        ids = [life.ids.next() for life in ticks.lives]
        assert ids[0] != ids[1]

    run(main)


def test_a_life_that_stands_still_is_undone_by_the_database_before_it_goes_on() -> None:
    async def main(servers: Servers) -> None:
        ticks = Ticks()
        replica = Replica(servers, "one", ticks.live)
        replica.start()
        await asyncio.sleep(0.5)
        life = ticks.lives[0]
        asked: list[float] = []
        life.store.interrupt = lambda: asked.append(servers.loop.time())  # type: ignore[method-assign]
        replica.stall(IDLE_SECONDS - 1)
        await asyncio.sleep(IDLE_SECONDS + 1)
        assert asked == []
        replica.stall(3 * IDLE_SECONDS)
        await asyncio.sleep(IDLE_SECONDS + 1)
        assert len(asked) == 1
        seen = len(ticks.at)
        await asyncio.sleep(1.0)
        assert len(ticks.at) == seen
        replica.recover()
        await asyncio.sleep(1.0)
        assert len(ticks.at) > seen

    run(main)


def test_a_life_is_cut_off_for_a_while() -> None:
    async def main(servers: Servers) -> None:
        ticks = Ticks()
        replica = Replica(servers, "one", ticks.live)
        replica.start()
        await asyncio.sleep(0.5)
        broker = ticks.lives[0].broker
        assert broker is not None
        for server in ("broker", "database", "broker"):
            replica.cut(server, 10.0)
        with pytest.raises(BrokerAway):
            await broker.open(())
        await asyncio.sleep(11.0)
        await broker.open(())
        replica.cut("broker", 1000.0)
        replica.recover()
        await broker.open(())

    run(main, broker=True)


def test_a_life_is_struck_in_the_middle_of_a_request() -> None:
    async def main(servers: Servers) -> None:
        ticks = Ticks()
        servers.weather.struck = 1.0

        async def live(life: Life) -> None:
            ticks.lives.append(life)
            await life.lines["database"].cross()
            ticks.at.append(servers.loop.time())

        replica = Replica(servers, "one", live)
        replica.start()
        await asyncio.sleep(200)
        assert len(ticks.lives) > 1 or ticks.at

    run(main)


def test_the_sources_of_a_life_are_foretold() -> None:
    async def main(servers: Servers) -> None:
        clock = SimulatedClock(servers.loop, off=-2.0)
        await clock.sleep(5)
        await clock.sleep(-1)
        assert clock.now() == START + timedelta(seconds=3)
        assert clock.time() == clock.now().timestamp()
        assert clock.monotonic() == 5
        ids, again = (SimulatedIds(clock, chance_of(3, "ids")) for _ in range(2))
        made = [ids.next() for _ in range(100)]
        assert made == sorted(made) == [again.next() for _ in range(100)]
        assert {one.version for one in made} == {7}
        assert len(ids.token()) == 22
        drawn = [SimulatedEntropy(chance_of(3, "entropy")).uniform() for _ in range(2)]
        assert drawn[0] == drawn[1] != SimulatedEntropy(chance_of(4, "entropy")).uniform()

    run(main)


def test_a_dead_life_says_nothing() -> None:
    async def main(servers: Servers) -> None:
        life = Life(servers, "one.1", 0.0)
        ports = life.ports()
        assert ports.store is life.store
        for _ in range(2):
            life.observer.observe(Notice("info", "here", "it is here"))
            servers.loop.kill(life.process)
        assert len(life.observer.heard) == 1

    run(main)


def test_what_crosses_may_be_slow_and_what_is_cut_meanwhile_is_lost() -> None:
    async def main(servers: Servers) -> None:
        line = Line(weather=Weather(yields=0.0, slow=1.0, seconds=5.0), chance=chance_of(1, "line"))
        await line.cross()
        assert servers.loop.time() > 0
        crossing = asyncio.ensure_future(line.cross())
        await asyncio.sleep(0)
        line.cut = True
        with pytest.raises(LineCut):
            await crossing
        calm = Weather(slow=0.2, lost=0.2, struck=0.2)
        calm.calm()
        assert (calm.slow, calm.lost, calm.struck) == (0.0, 0.0, 0.0)

    run(main)


@pytest.mark.parametrize("broker", [False, True])
def test_a_nemesis_brings_misfortune_and_then_rests(broker: bool) -> None:
    lives = 0
    for seed in range(8):

        async def main(servers: Servers, seed: int = seed) -> None:
            nonlocal lives
            ticks = Ticks()
            replicas = [Replica(servers, name, ticks.live) for name in "abc"]
            for replica in replicas:
                replica.start()
            nemesis = Nemesis(servers, Climate.drawn(seed), replicas)
            nemesis.begin()
            await asyncio.sleep(60)
            nemesis.rest()
            await asyncio.sleep(30)
            lives += len(ticks.lives) - 3
            alive = [life for life in ticks.lives if life.process.alive]
            assert len(alive) == 3
            assert not any(line.cut or life.process.stalled for life in alive for line in life.lines.values())
            assert servers.weather.lost == 0.0

        run(main, broker=broker, seed=seed)
    assert lives > 5


def test_climates_differ() -> None:
    climates = [Climate.drawn(seed) for seed in range(100)]
    assert climates[0] == Climate.drawn(0)
    for name in ("kills", "stalls", "cuts", "off"):
        assert 20 < sum(getattr(one, name) > 0 for one in climates) < 80
