"""Two services hear each other through a broker: each order is billed once, and those of a customer in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from broker_leftovers import clear_nats, clear_rabbitmq, clear_redis
from tests.conformance.servers import server

from mainstay import Entity, Event, Events, Module, Repository, Service, anyone
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.memory.store import MemoryStore
from mainstay.app.brokers import make_broker
from mainstay.app.settings import load
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.worker import EventWorker
from mainstay.model.conditions import TRUE
from mainstay.model.inputs import Sort
from mainstay.model.problem import NotCommitted
from mainstay.ports.rows import Query
from mainstay.ports.store import Store
from mainstay.testing.fixed import ClearSealer
from mainstay.testing.recorder import Recorder

ORDERS = 60
CUSTOMERS = 4
WARM_UP = 1_000_003
PATIENCE = 60.0
SOON = 5.0  # seconds: less than any broker waits for a member that has taken messages and says nothing
CLEARING = {"redis": clear_redis, "nats": clear_nats, "rabbitmq": clear_rabbitmq}


class OrderPlaced(Event):
    customer: str
    number: int


class Bill(Entity):
    customer: str
    number: int


def store() -> Module:
    made = Module("store")

    @made.command("POST /orders/{number}", allow=anyone)
    async def place_order(number: int, events: Events) -> None:
        """Place an order."""
        customer = f"customer {number % CUSTOMERS}"
        events.emit(OrderPlaced(customer=customer, number=number), key=customer)

    return made


def bills() -> Module:
    made = Module("bills")
    made.entity(Bill)

    @made.on("store.OrderPlaced")
    async def bill(event: OrderPlaced, rows: Repository[Bill]) -> None:
        """Write a bill for an order."""
        await rows.add(Bill(customer=event.customer, number=event.number))

    return made


@asynccontextmanager
async def running(service: Service, folder: Path, url: str, kept: Store | None = None) -> AsyncIterator[Bound]:
    """Have a service whose events go through the broker of a URL, on a store that is its own if it is given none."""
    clock, observer = SystemClock(), Recorder()
    settings = load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_EVENTS": url})
    ports = Ports(
        store=kept or MemoryStore(),
        limiter=MemoryLimiter(clock),
        clock=clock,
        ids=SystemIds(),
        entropy=SystemEntropy(),
        sealer=ClearSealer(),
        observer=observer,
        broker=make_broker(settings, clock, observer),
    )
    bound = bind(service, ports)
    assert not bound.faults
    await ports.store.start(bound.tables)
    worker = EventWorker(bound, service.name)
    worker.listen(bound)
    working = asyncio.ensure_future(worker.run())
    async with asyncio.timeout(PATIENCE):
        while worker.line is not None and not worker.line.joined:  # who is not there yet misses what is published
            await asyncio.sleep(0.01)
    try:
        yield bound
    finally:
        worker.stop()
        await working
        await ports.store.stop()


async def bills_of(bound: Bound) -> list[Bill]:
    reading = bound.ports.store.begin(write=False)
    found: list[Bill] = await reading.rows(Bill).fetch(Query(where=TRUE, sort=(Sort("id"),)))
    await reading.rollback()
    return found


@pytest_asyncio.fixture(params=["redis", "nats", "rabbitmq", "sqlite"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Give the URL of a broker that nobody else has."""
    kind, prefix = request.param, f"t{uuid4().hex[:12]}"
    if kind == "sqlite":
        yield f"sqlite:///{prefix}.sqlite"
        return
    named = server(f"MAINSTAY_TEST_{kind.upper()}")
    yield f"{urlsplit(named).scheme}://{urlsplit(named).netloc}?prefix={prefix}"
    await CLEARING[kind](named, prefix)


async def test_each_order_is_billed_once_and_in_order(tmp_path: Path, url: str) -> None:
    shop, billing = Service("shop", modules=[store()]), Service("billing", modules=[store(), bills()])
    async with running(billing, tmp_path, url) as billed, running(shop, tmp_path, url) as orders:
        async with asyncio.timeout(PATIENCE):
            while not await bills_of(billed):  # a group gets what is published once it is there
                await place(orders, WARM_UP)
                await asyncio.sleep(0.1)
            for number in range(ORDERS):
                await place(orders, number)
            while len(await numbers(billed)) < ORDERS:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        found = await numbers(billed)
    assert sorted(found) == list(range(ORDERS))
    for customer in range(CUSTOMERS):
        of_one = [number for number in found if number % CUSTOMERS == customer]
        assert of_one == sorted(of_one)


class AwayStore(MemoryStore):
    """A store that is away while a test says so."""

    away = False
    refused = 0

    def begin(self, **given: Any) -> Any:
        if self.away:
            self.refused += 1
            raise NotCommitted("the store is away")
        return super().begin(**given)


async def test_what_comes_while_the_store_is_away_is_billed_within_seconds_of_its_return(
    tmp_path: Path, url: str
) -> None:
    shop, billing = Service("shop", modules=[store()]), Service("billing", modules=[store(), bills()])
    kept = AwayStore()
    async with running(billing, tmp_path, url, kept) as billed, running(shop, tmp_path, url) as orders:
        async with asyncio.timeout(PATIENCE):
            while not await bills_of(billed):
                await place(orders, WARM_UP)
                await asyncio.sleep(0.1)
            kept.away = True
            for number in range(ORDERS):
                await place(orders, number)
            await asyncio.sleep(2.0)
            assert kept.refused > 2
            kept.away = False
        async with asyncio.timeout(SOON):
            while len(await numbers(billed)) < ORDERS:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(SOON):
            for number in range(ORDERS, ORDERS + 5):  # who has left its group has joined it again
                await place(orders, number)
            while len(await numbers(billed)) < ORDERS + 5:
                await asyncio.sleep(0.05)
        found = await numbers(billed)
    assert sorted(found) == list(range(ORDERS + 5))


async def place(bound: Bound, number: int) -> None:
    (operation,) = [one for one in bound.operations if one.name == "place_order"]
    call = Call(operation=operation, arguments={"number": str(number)}, request_id=f"r-{number}", peer="192.0.2.1")
    assert isinstance(await dispatch(call), Reply)


async def numbers(bound: Bound) -> list[int]:
    """Return the orders that were billed, in the order in which they were."""
    return [one.number for one in await bills_of(bound) if one.number != WARM_UP]
