"""A replica of the simulated shop: what runs in each of its lives, and how clients reach it."""

from __future__ import annotations

import asyncio

from simulated_shop import Luck, made

from mainstay.kernel.bind import bind
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow.upkeep import Keeping
from mainstay.kernel.flow.worker import EventWorker
from mainstay.kernel.providers import Resolver
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.testing.simulation.replica import Life, Servers

PATIENCE = 20.0  # seconds that a client waits for its answer


class Shop:
    """One replica, over all of its lives."""

    def __init__(self, servers: Servers, name: str, luck: Luck, keeping: Keeping) -> None:
        self.name = name
        self.said: list[str] = []
        self._servers = servers
        self._luck = luck
        self._keeping = keeping
        self._operations: dict[str, BoundOperation] = {}
        self._life: Life | None = None

    @property
    def open(self) -> bool:
        """Whether it takes calls."""
        return self._life is not None and self._life.process.alive

    async def live(self, life: Life) -> None:
        """Bind the service, open the store, and work on events until this life ends."""
        bound = bind(made(), life.ports(), known={Luck: Resolver(make=lambda _scope: self._luck, shared=True)})
        assert not bound.faults, bound.faults
        await life.store.start(bound.tables)
        self._operations = {one.name: one for one in bound.operations}
        self._life = life
        worker = EventWorker(bound, life.name, self._keeping)
        worker.listen(bound)
        await worker.run()

    async def ask(self, name: str, body: bytes, who: Principal) -> Reply | Problem | None:
        """Call a command; None where no answer came."""
        life = self._life
        assert life is not None
        call = Call(operation=self._operations[name], principal=who, body=body, request_id="r", peer="192.0.2.1")
        answer = self._servers.loop.spawn(life.process, dispatch(call))
        await asyncio.wait({answer}, timeout=PATIENCE)
        return answer.result() if answer.done() else None
