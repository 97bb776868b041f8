"""A replica of a service: a process with its own clock, its lines to the servers, and one life after another."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.kernel.bound import Ports
from mainstay.ports.observer import Notice, Observation, Observer
from mainstay.testing.fixed import ClearSealer
from mainstay.testing.simulation.broker import SimulatedBroker, SimulatedExchange
from mainstay.testing.simulation.database import Database
from mainstay.testing.simulation.line import Line, Weather
from mainstay.testing.simulation.loop import Process, SimulatedLoop
from mainstay.testing.simulation.sources import SimulatedClock, SimulatedEntropy, SimulatedIds, chance_of
from mainstay.testing.simulation.store import SimulatedStore

IDLE_SECONDS = 10.0
"""How long the database leaves a transaction open of which it hears nothing."""


class Servers:
    """What the replicas of a service share, and what outlives them. Without an ``exchange`` there is no broker."""

    def __init__(self, loop: SimulatedLoop, seed: int | str, *, exchange: SimulatedExchange | None = None) -> None:
        self.loop = loop
        self.seed = seed
        self.database = Database()
        self.exchange = exchange
        self.weather = Weather()


class Life:
    """One process of a replica, from its start to its kill: what ``run`` is given to work with."""

    def __init__(self, servers: Servers, name: str, off: float) -> None:
        loop, seed = servers.loop, f"{servers.seed} {name}"
        self.name = name
        self.process: Process = loop.process(name)
        self.chance: Random = chance_of(seed, "use cases")
        self.clock = SimulatedClock(loop, off)
        self.ids = SimulatedIds(self.clock, chance_of(seed, "ids"))
        self.entropy = SimulatedEntropy(chance_of(seed, "entropy"))
        self.observer = Notices(self.process)
        lines = [Line(self.process, servers.weather, chance_of(seed, to)) for to in ("database", "broker")]
        self.store = SimulatedStore(servers.database, lines[0])
        self.broker = None if servers.exchange is None else SimulatedBroker(servers.exchange, lines[1])
        self.lines: Mapping[str, Line] = dict(zip(("database", "broker"), lines, strict=True))

    def ports(self) -> Ports:
        """Return the ports of the core, all of them simulated."""
        return Ports(
            store=self.store,
            limiter=MemoryLimiter(self.clock),
            clock=self.clock,
            ids=self.ids,
            entropy=self.entropy,
            sealer=ClearSealer(),
            observer=self.observer,
            broker=self.broker,
        )


class Notices(Observer):
    """Keeps what a life says of itself, as long as it lives."""

    def __init__(self, process: Process) -> None:
        self.heard: list[Notice] = []
        self._process = process

    def observe(self, observation: Observation) -> None:
        if isinstance(observation, Notice) and self._process.alive:
            self.heard.append(observation)


Run = Callable[[Life], Coroutine[Any, Any, None]]
"""What a replica does with a life, from its beginning on. It ends when it is killed."""


class Replica:
    """A replica that is started, killed, cut off and held up. ``life`` is that which runs, or None."""

    def __init__(self, servers: Servers, name: str, run: Run, *, off: float = 0.0) -> None:
        self.name = name
        self.off = off
        self.life: Life | None = None
        self.lives = 0
        self._servers = servers
        self._run = run
        self._chance = chance_of(f"{servers.seed} {name}", "what befalls it")

    def start(self) -> None:
        """Begin a life, where none runs."""
        if self.life is None:
            self.lives += 1
            life = self.life = Life(self._servers, f"{self.name}.{self.lives}", self.off)
            for line in life.lines.values():
                line.strike = self._strike
            self._servers.loop.spawn(life.process, self._run(life))

    def kill(self, pause: float) -> None:
        """Kill the process, as ``kill -9`` or a loss of power does, and start another one after a pause."""
        life, self.life = self.life, None
        if life is not None:
            loop = self._servers.loop
            loop.kill(life.process)
            life.store.lose()
            if life.broker is not None:
                loop.call_later(self._chance.random() * IDLE_SECONDS, life.broker.lose)
            loop.call_later(pause, self.start)

    def stall(self, seconds: float) -> None:
        """Have the process stand still, as a host that swaps or a virtual machine that is moved does."""
        if self.life is not None:
            self._servers.loop.stall(self.life.process, seconds)
            if seconds > IDLE_SECONDS:
                self._servers.loop.call_later(IDLE_SECONDS, self.life.store.interrupt)

    def cut(self, server: str, seconds: float) -> None:
        """Cut the process off from a server for a while. The server takes it for gone, sooner or later."""
        life = self.life
        if life is None or life.lines[server].cut:
            return
        line = life.lines[server]
        line.cut = True
        if server == "database":
            life.store.lose()
        elif life.broker is not None:
            life.broker.lose()
        self._servers.loop.call_later(seconds, setattr, line, "cut", False)

    def recover(self) -> None:
        """Have the process go on, and reach every server."""
        if self.life is not None:
            self._servers.loop.resume(self.life.process)
            for line in self.life.lines.values():
                line.cut = False

    def _strike(self) -> None:
        """Be struck in the middle of a request: killed, or held up for longer than anybody waits."""
        chance, outside_of = self._chance, self._servers.loop.outside_of  # its own timers would end with it
        if chance.random() < 0.6:
            outside_of(self.kill, chance.expovariate(1 / 3.0))
        else:
            outside_of(self.stall, chance.expovariate(1 / 20.0))
