"""One simulated run: clients that place orders, replicas that misfortune befalls, and the truth about it all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from uuid import UUID

import msgspec
from simulated_replica import Shop
from simulated_shop import CONSUMERS, Luck
from simulated_truth import GAP, Party, Truth

from mainstay.kernel.flow import judging, upkeep
from mainstay.kernel.flow.upkeep import Keeping
from mainstay.model.principal import Principal
from mainstay.model.problem import CommitUnknown, Problem
from mainstay.testing.simulation.broker import SimulatedExchange
from mainstay.testing.simulation.loop import SimulatedLoop, SimulationStuck, simulated_loop
from mainstay.testing.simulation.nemesis import Climate, Nemesis
from mainstay.testing.simulation.replica import Replica, Servers
from mainstay.testing.simulation.sources import chance_of

FOUL_SECONDS = 25.0  # of virtual time in which things go wrong, on average
AFTERMATH = 40.0  # seconds in which the broker hands over once more what was done long ago
FAIR_SECONDS = 150.0  # after which all is delivered, or in the dead letters
KEYS = ("ann", "bob", "", "")  # "": no key


@dataclass
class Outcome:
    """What came of a seed. ``digest`` stands for all steps: of equal runs it is equal."""

    seed: int
    faults: list[str]
    digest: int
    steps: int
    seconds: float  # of virtual time
    events: int
    effects: int
    lives: int
    trace: list[str] = field(default_factory=list)


class Clients:
    """Callers from outside: each places orders with one replica after another."""

    def __init__(self, shops: Sequence[Shop], chance: Random) -> None:
        self.acknowledged: list[tuple[str, int]] = []
        self.unknown = 0
        self._shops = shops
        self._chance = chance
        self._numbers = 0
        self.most = chance.randint(4, 16)  # calls

    async def run(self, seconds: float) -> None:
        """Make calls, spread over a while, some of them at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.most):
                group.create_task(self._call_at(self._chance.random() * seconds))

    async def _call_at(self, moment: float) -> None:
        chance = self._chance
        await asyncio.sleep(round(moment, 1))
        for _ in range(100):
            shop = chance.choice(self._shops)
            if shop.open:
                break
            await asyncio.sleep(1.0)
        else:
            return
        count = chance.choice((1, 1, 1, 2, 3))
        numbers = list(range(self._numbers, self._numbers + count))
        self._numbers += count
        wanted = {"numbers": numbers, "key": chance.choice(KEYS), "poison": chance.random() < 0.07}
        name = chance.choice(("place", "place_quickly"))
        answer = await shop.ask(name, msgspec.json.encode(wanted), _who(wanted["key"]))
        if answer is None or isinstance(answer, CommitUnknown):
            self.unknown += 1
        elif not isinstance(answer, Problem):
            self.acknowledged += [("shop.Placed", number) for number in numbers]


def _who(key: object) -> Principal:
    name = str(key) or "nobody"
    return Principal(id=UUID(int=sum(name.encode())), subject=name)


def simulate(seed: int, *, trace: bool = False) -> Outcome:
    """Run a seed to its end."""
    loop = simulated_loop(seed)
    run = _Run(loop, seed)
    try:
        loop.run(run.main())
    except SimulationStuck as stuck:
        run.truth.fault(str(stuck))
    for complaint in loop.complaints:
        run.truth.fault(complaint)
    truth = run.truth
    lives = sum(replica.lives for replica in run.replicas)
    outcome = Outcome(seed, truth.faults, loop.digest, loop.steps, loop.time(), len(truth.told), truth.effects, lives)
    if trace:
        outcome.trace = run.trace()
    return outcome


class _Run:
    """What there is in one run."""

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        self.loop = loop
        self.chance = chance_of(seed, "run")
        exchange = SimulatedExchange(chance_of(seed, "exchange")) if self.chance.random() < 0.5 else None
        self.servers = Servers(loop, seed, exchange=exchange)
        self.climate = Climate.drawn(seed)
        self.luck = Luck(self.servers, chance_of(seed, "luck"), 0.2 if self.chance.random() < 0.5 else 0.0)
        self.forgets = exchange is not None and self.chance.random() < 0.4
        if self.forgets:
            self.climate.habits.again = 0.3
        keeping = Keeping(timedelta(seconds=self.chance.uniform(8.0, 14.0))) if self.forgets else Keeping()
        upkeep.CLEAN_SECONDS = 3.0 if self.forgets else 60.0
        judging.GAP = GAP
        parties = [Party("shop", self.servers.database, CONSUMERS)]
        self.truth = Truth(parties, loop.time, exchange, forgets=self.forgets)
        count = self.chance.randint(1, 3)
        self.shops = [Shop(self.servers, f"replica {n}", self.luck, keeping) for n in range(count)]
        self.replicas = [
            Replica(self.servers, shop.name, shop.live, off=self.chance.uniform(-1, 1) * self.climate.off)
            for shop in self.shops
        ]
        self.nemesis = Nemesis(self.servers, self.climate, self.replicas)
        self.clients = Clients(self.shops, chance_of(seed, "clients"))

    async def main(self) -> None:
        """Let things go wrong while clients call, then let them be, and see that all is done."""
        for replica in self.replicas:
            replica.start()
        foul = self.chance.expovariate(1 / FOUL_SECONDS) * (1 + self.forgets)
        self.nemesis.begin()
        clients = asyncio.ensure_future(self.clients.run(foul))
        await asyncio.sleep(foul)
        self.nemesis.rest()
        self.luck.bad = 0.0
        await clients
        end = self.loop.time() + FAIR_SECONDS
        while not self.truth.faults and (left := self.truth.unfinished()):
            if self.loop.time() >= end:
                self.truth.fault(f"{len(left)} are not done, the first: {left[0]}")
            await asyncio.sleep(1.0)
        if self.forgets:  # what comes again by now is not known any more
            await asyncio.sleep(AFTERMATH)
        for lost in self.truth.lost(self.clients.acknowledged):
            self.truth.fault(f"{lost} was acknowledged, and is nowhere")

    def trace(self) -> list[str]:
        """Return what the lives of the replicas have said."""
        return [f"{shop.name}: {text}" for shop in self.shops for text in shop.said]
