"""Signals as use cases ask for them: told by a consumer behind a commit, or by a command that reaches outside."""

from __future__ import annotations

import asyncio

import pytest

from mainstay.adapters.memory.signals import MemorySignals
from mainstay.model.faults import StartupFailed
from mainstay.model.inputs import Stream
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.service import Service
from mainstay.model.structs import Dto, Event
from mainstay.ports.events import Events
from mainstay.ports.signals import Signals
from mainstay.testing.client import Client


class PriceChanged(Event):
    """A price is another one."""

    price: int


class Price(Dto):
    """What something costs."""

    price: int


async def change(wanted: Price, events: Events) -> None:
    events.emit(PriceChanged(price=wanted.price))


async def tell(event: PriceChanged, signals: Signals) -> None:
    await signals.publish("prices", {"price": event.price})


async def tell_at_once(wanted: Price, signals: Signals) -> None:
    await signals.publish("prices", {"price": wanted.price})


async def live(signals: Signals) -> Stream[Price]:
    async with signals.subscribe("prices") as heard:
        async for told in heard:
            yield Price(**told)


def service_of(*, external: bool = True) -> Service:
    shop = Module("shop")
    shop.command("POST /prices", allow=anyone)(change)
    shop.command("POST /prices/told", allow=anyone, external=external)(tell_at_once)
    shop.query("GET /prices/live", allow=anyone)(live)
    shop.on(PriceChanged)(tell)
    return Service("shop", modules=[shop])


async def test_a_consumer_tells_what_was_committed_and_a_command_at_once() -> None:
    signals = MemorySignals()
    async with Client(service_of(), replace={Signals: signals}) as client, signals.subscribe("prices") as heard:
        await client.post("/prices", json={"price": 3})
        await client.deliver()
        await client.post("/prices/told", json={"price": 4})
        async with asyncio.timeout(30):
            assert [await anext(heard), await anext(heard)] == [{"price": 3}, {"price": 4}]


async def test_a_stream_gives_what_it_hears_until_it_is_closed() -> None:
    signals = MemorySignals()
    stream = live(signals)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await signals.publish("prices", {"price": 5})
    assert await waiting == Price(price=5)
    await stream.aclose()
    assert signals._listeners._by_topic == {}


async def test_a_command_that_tells_must_say_that_it_reaches_outside() -> None:
    with pytest.raises(StartupFailed, match="reaches outside"):
        async with Client(service_of(external=False)):
            pass
