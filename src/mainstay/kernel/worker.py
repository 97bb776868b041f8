"""The worker: all that one replica does with events, in loops side by side, or step by step by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from mainstay.kernel.bind import Bound
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow.consumers import Consumers
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.courier import FLIGHTS, Courier
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.hand import Hand
from mainstay.kernel.flow.intake import Intake
from mainstay.kernel.flow.line import BrokerLine
from mainstay.kernel.flow.loop import Loop
from mainstay.kernel.flow.places import PARTITIONS
from mainstay.kernel.flow.publisher import Publisher
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage
from mainstay.kernel.flow.relay import Relay
from mainstay.kernel.flow.runner import Runner
from mainstay.kernel.flow.shares import Shares
from mainstay.kernel.flow.upkeep import Keeping, Upkeep, fresh_for
from mainstay.ports.observer import Observer

POLL = 0.25  # seconds between looks at the outbox when nobody wakes the relay
IDLE = 5.0  # between looks of what has little to do
DRAIN = 5.0  # seconds that consumers may take to end what they are at


class EventWorker:
    """Relays, takes in and runs for one replica, which ``holder`` names. Messages name theirs below ``schemas``.

    ``step`` does one round of everything; ``run`` goes on until ``stop``. Only one of them is used at a time.
    """

    def __init__(self, bound: Bound, holder: str, keeping: Keeping | None = None, *, schemas: str = "") -> None:
        ports, consumers, service = bound.ports, bound.consumers, bound.service.name
        names = [each.name for group in consumers.values() for each in group]
        topics = {*consumers, *bound.blueprint.event_names.values()}
        broker = ports.broker
        keeping = keeping or Keeping()
        self._store = ports.store
        self.counters: FlowCounters = FlowCounters()
        self.known: Consumers = Consumers(ports, names)
        self.shares: Shares = Shares(ports, holder)
        self.line: BrokerLine | None = None if broker is None else BrokerLine(ports, broker, topics, self.counters)
        filing = Filing(ports, consumers, self.known, self.counters)
        self.hand: Hand = Hand(ports, self.counters)
        publisher: Publisher | None = None
        self.courier: Courier | None = None
        if self.line is not None:
            publisher = Publisher(ports, service, self.line, self.hand, self.counters, schemas)
            self.courier = Courier(publisher, self.shares)
        self.relay: Relay = Relay(ports, service, filing, self.shares, self.counters, publisher, self.courier)
        self.intake: Intake | None = None
        if self.line is not None:
            self.intake = Intake(ports, service, consumers, filing, self.line, self.counters, fresh_for(keeping))
            self.intake.listen(self._kept)
        self.runner: Runner = Runner(
            ports, consumers, dispatch, self.shares, self.known, self.counters, shuffled=broker is not None
        )
        self.upkeep: Upkeep = Upkeep(ports, self.shares, self.counters, keeping)
        loops: dict[str, tuple[Callable[[], Awaitable[bool]], Callable[[], float]]] = {
            "shares": (self._share, self.shares.due_in),
            "relay": (self._relay, lambda: POLL),
            "runner": (self.runner.step, lambda: POLL if names else IDLE),
            "upkeep": (self.upkeep.step, lambda: IDLE),
        }
        if self.intake is not None:
            loops["intake"] = (self._take_in, lambda: POLL)
            loops["removal"] = (self.hand.gathered, lambda: POLL)
        self._loops = {name: Loop(name, step, ports.observer, pause) for name, (step, pause) in loops.items()}
        self._flights: list[Loop] = [] if self.courier is None else self._flying(self.courier, ports.observer)
        self.runner.listen(self._loops["runner"].wake)
        self.shares.listen(self._loops["shares"].wake)

    def _flying(self, courier: Courier, observer: Observer) -> list[Loop]:
        """Return the loops in which the courier publishes, and have all that they wait for wake them."""
        steps = [partial(courier.step, number) for number in range(FLIGHTS)]
        flights = [Loop("courier", step, observer, lambda: IDLE) for step in steps]
        courier.listen([flight.wake for flight in flights])
        self.hand.listen(self._loops["removal"].wake, self.wake)
        return flights

    def listen(self, bound: Bound) -> None:
        """Be woken by the commits of this process and, through the store, by those of others."""

        def rung(stored: Sequence[OutboxMessage]) -> None:
            if self.courier is not None and not self.courier.offer(stored):
                return
            self.wake()
            if len(self.shares.held) < PARTITIONS:  # another replica may have what was stored
                self._store.ring()

        bound.bell.listen(rung)
        self._store.listen(self.heard)

    def wake(self) -> None:
        """Say that events were stored."""
        self._loops["relay"].wake()

    def heard(self) -> None:
        """Say that another process has stored events, or messages, or has come or gone."""
        if self.shares.hear():
            self._loops["shares"].wake()
        self._look()

    def _look(self) -> None:
        self.runner.look()
        self._loops["relay"].wake()
        self._loops["runner"].wake()

    async def _share(self) -> bool:
        if await self.shares.step():
            self.runner.look_everywhere()
            self._look()
        return False

    async def _relay(self) -> bool:
        more = await self.relay.step()
        if self.relay.working:
            self.runner.look(self.relay.working)
            self.relay.working.clear()
            self._loops["runner"].wake()
        return more

    def _kept(self, rows: Sequence[InboxMessage]) -> None:
        self.runner.offer(rows)
        self._loops["runner"].wake()

    async def _take_in(self) -> bool:
        assert self.intake is not None  # else there is no such loop
        more = await self.intake.step()
        if self.intake.working:
            self.intake.working = False
            if len(self.shares.held) < PARTITIONS:  # another replica runs some of it
                self._store.ring()
        return more

    async def step(self, *, wait: float = 0.0) -> bool:
        """Do one round of everything, and wait for what runs. Returns whether there may be more that is due.

        ``wait`` is how many seconds it waits for a message of the broker.
        """
        await self._share()
        if self.intake is not None:
            await self.intake.join()
        more = await self._relay()
        if self.courier is not None:
            more = await self.courier.step() or more
            more = await self.hand.step() or more
        if self.intake is not None:
            self.intake.wait = wait
            more = await self._take_in() or more
        more = await self.runner.step() or more
        await self.runner.settled()
        await self.upkeep.step()
        return more

    async def run(self) -> None:
        """Work until stopped. What was begun is ended, and the partitions are given back."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, loop in self._loops.items():
                    group.create_task(loop.run(), name=f"mainstay-{name}")
                for flight in self._flights:
                    group.create_task(flight.run(), name="mainstay-courier")
        finally:
            await self._leave()

    async def _leave(self) -> None:
        self.runner.stop()
        try:
            await self.hand.emptied(DRAIN)
            await self.runner.settled(DRAIN)
        finally:
            try:
                await self.close()
            finally:
                await self.shares.release()

    async def close(self) -> None:
        """Leave the broker, if there is one."""
        if self.intake is not None:
            await self.intake.close()
        if self.line is not None:
            await self.line.close()

    def stop(self) -> None:
        """Ask the worker to end: nothing is begun any more."""
        self.runner.stop()
        if self.courier is not None:
            self.courier.stop()
        for loop in (*self._loops.values(), *self._flights):
            loop.stop()

    @asynccontextmanager
    async def running(self, failed: Callable[[BaseException], None]) -> AsyncIterator[EventWorker]:
        """Work until the block ends; ``failed`` is told should it come to an end before."""

        def ended(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                failed(error)

        task = asyncio.create_task(self.run(), name="mainstay-events")
        task.add_done_callback(ended)
        try:
            yield self
        finally:
            self.stop()
            await asyncio.wait({task}, timeout=DRAIN * 2)
            task.cancel()
            await asyncio.wait({task})
