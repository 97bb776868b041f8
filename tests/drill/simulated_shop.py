"""The service whose events are simulated: with keys and without, consumers of every kind, and one that emits again."""

from __future__ import annotations

import asyncio
from random import Random

from simulated_truth import Consumer, Effect

from mainstay import Conflict, Dto, Entity, Event, Events, Module, Repository, Service, anyone, field
from mainstay.model.principal import Principal
from mainstay.testing.simulation.replica import Servers

ATTEMPTS = 3
SHIPPED = 1_000_000  # added to the number of a Placed, it is that of the Shipped that follows from it


class Order(Entity):
    """What a client has asked for."""

    number: int
    key: str = field(default="")


class Placed(Event):
    number: int
    poison: bool = False


class Shipped(Event):
    number: int


class Wanted(Dto):
    numbers: list[int]
    key: str = ""
    poison: bool = False


class Sick(Conflict):
    """The consumer cannot do this."""


class Luck:
    """What decides whether a consumer fails that may: never, once the weather is fair."""

    def __init__(self, servers: Servers, chance: Random, bad: float) -> None:
        self._servers = servers
        self._chance = chance
        self.bad = bad

    async def turn(self) -> None:
        """Take a while, now and then, and fail, now and then."""
        if self._chance.random() < 0.3:
            await asyncio.sleep(self._chance.random() * 0.05)
        if self._chance.random() < self.bad:
            raise Sick("it is one of those days")


shop = Module("shop")


async def _place(wanted: Wanted, orders: Repository[Order], events: Events) -> None:
    for number in wanted.numbers:
        await orders.add(Order(number=number, key=wanted.key))
        events.emit(Placed(number=number, poison=wanted.poison), key=wanted.key or None)


@shop.command("POST /orders", allow=anyone)
async def place(wanted: Wanted, orders: Repository[Order], events: Events) -> None:
    await _place(wanted, orders, events)


@shop.command("POST /quick-orders", allow=anyone, isolation="read_committed")
async def place_quickly(wanted: Wanted, orders: Repository[Order], events: Events) -> None:
    await _place(wanted, orders, events)


async def _note(effects: Repository[Effect], consumer: str, event: Event, number: int) -> None:
    name = f"shop.{type(event).__name__}"
    await effects.add(Effect(consumer=consumer, event=name, number=number))


@shop.on(Placed, attempts=50)
async def count(event: Placed, effects: Repository[Effect], luck: Luck) -> None:
    await luck.turn()
    await _note(effects, "count", event, event.number)


@shop.on(Placed, attempts=ATTEMPTS)
async def bill(event: Placed, effects: Repository[Effect]) -> None:
    await _note(effects, "bill", event, event.number)
    if event.poison:
        raise Sick("it cannot be billed")


@shop.on(Placed, attempts=ATTEMPTS, on_dead="continue")
async def mail(event: Placed, effects: Repository[Effect]) -> None:
    if event.poison:
        raise Sick("it cannot be mailed")
    await _note(effects, "mail", event, event.number)


@shop.on(Placed, latest_only=True, attempts=50)
async def show(event: Placed, effects: Repository[Effect], luck: Luck) -> None:
    await luck.turn()
    await _note(effects, "show", event, event.number)


@shop.on(Placed, attempts=50)
async def ship(event: Placed, effects: Repository[Effect], events: Events, who: Principal) -> None:
    await _note(effects, "ship", event, event.number)
    events.emit(Shipped(number=event.number + SHIPPED), key=None if who.subject == "nobody" else who.subject)


@shop.on(Shipped, attempts=50)
async def track(event: Shipped, effects: Repository[Effect]) -> None:
    await _note(effects, "track", event, event.number)


CONSUMERS = (
    Consumer("count", "shop.Placed", "parks"),
    Consumer("bill", "shop.Placed", "parks", may_die=True),
    Consumer("mail", "shop.Placed", "continues", may_die=True),
    Consumer("show", "shop.Placed", "latest"),
    Consumer("ship", "shop.Placed", "parks"),
    Consumer("track", "shop.Shipped", "parks"),
)


def made() -> Service:
    """Return the service: each process has its own."""
    return Service("shop", modules=[shop])
