"""The simulated broker under misfortune: it may do all that a broker may, and must do what one must."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest

from mainstay.ports.broker import BrokerAway, Outgoing
from mainstay.testing.simulation.broker import Habits, SimulatedBroker, SimulatedExchange, SimulatedSubscription
from mainstay.testing.simulation.line import Line, Weather
from mainstay.testing.simulation.loop import simulated_loop

TOPICS = ("shop.Placed",)


def run(main: Callable[[SimulatedExchange], Coroutine[Any, Any, None]], **habits: float) -> None:
    loop = simulated_loop(1)
    loop.run(main(SimulatedExchange(Random(7), Habits(**habits))))
    assert loop.complaints == []


def outgoing(number: int, key: str = "") -> Outgoing:
    return Outgoing(id=UUID(int=number), topic=TOPICS[0], key=key, body=b"%d" % number)


async def drained(member: SimulatedSubscription, seconds: float = 60.0) -> list[int]:
    """Take and acknowledge for a while; return the numbers that came, in their order."""
    found: list[int] = []
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        try:
            taken = await member.take(3, 1.0)
            found += [int(one.body) for one in taken]
            await member.acknowledge(taken)
        except BrokerAway:
            await asyncio.sleep(0.5)
    return found


def test_what_may_be_late_and_doubled_comes_in_any_order_and_at_least_once() -> None:
    async def main(exchange: SimulatedExchange) -> None:
        broker = SimulatedBroker(exchange)
        await broker.open(TOPICS)
        member = await broker.subscribe("shop", TOPICS)
        numbers = list(range(60))
        assert list(await broker.publish([outgoing(number) for number in numbers])) == [UUID(int=n) for n in numbers]
        found = await drained(member)
        assert sorted(set(found)) == numbers
        assert found != sorted(found)
        assert max(Counter(found).values()) == 2
        await broker.close()

    run(main, late=0.4, doubled=0.3)


def test_behind_one_that_is_not_confirmed_none_of_its_key_is_published() -> None:
    async def main(exchange: SimulatedExchange) -> None:
        broker = SimulatedBroker(exchange)
        await broker.subscribe("shop", TOPICS)
        batch = [outgoing(n, key="ab"[n % 2]) for n in range(20)] + [outgoing(n) for n in range(20, 40)]
        confirmed = {one.int for one in await broker.publish(batch)}
        kept = {one.id.int for one in exchange.published}
        for parity in (0, 1):
            own = [n in confirmed for n in range(parity, 20, 2)]
            assert own == sorted(own, reverse=True)
            assert len([n for n in kept if n < 20 and n % 2 == parity]) <= sum(own) + 1
        assert confirmed < kept
        assert len([n for n in confirmed if n >= 20]) > 5

    run(main, unconfirmed=0.3)


def test_what_is_not_acknowledged_comes_again_and_a_late_acknowledgement_is_of_nothing() -> None:
    async def main(exchange: SimulatedExchange) -> None:
        first = await SimulatedBroker(exchange).subscribe("shop", TOPICS)
        second = await SimulatedBroker(exchange).subscribe("shop", TOPICS)
        await SimulatedBroker(exchange).publish([outgoing(1)])
        taken = await first.take(5, 1.0)
        assert [one.times for one in taken] == [1]
        assert list(await second.take(5, 1.0)) == []
        again = await second.take(5, exchange.habits.visibility)
        assert [(one.body, one.times) for one in again] == [(b"1", 2)]
        await first.acknowledge(taken)
        assert exchange.groups["shop"].holds(UUID(int=1))
        await second.refuse(again[0], "it is of no use")
        assert not exchange.groups["shop"].holds(UUID(int=1))
        assert exchange.refused == [(again[0], "it is of no use")]

    run(main)


@pytest.mark.parametrize("ends", ["close", "lose"])
def test_what_a_member_had_goes_to_another_when_it_leaves_or_is_lost(ends: str) -> None:
    async def main(exchange: SimulatedExchange) -> None:
        broker = SimulatedBroker(exchange)
        first = await broker.subscribe("shop", TOPICS)
        second = await SimulatedBroker(exchange).subscribe("shop", TOPICS)
        await broker.publish([outgoing(1)])
        await first.take(5, 1.0)
        if ends == "lose":
            broker.lose()
        else:
            await first.close()
        assert [one.times for one in await second.take(5, 0.0)] == [2]

    run(main)


def test_who_is_expelled_is_told_and_goes_on() -> None:
    async def main(exchange: SimulatedExchange) -> None:
        broker = SimulatedBroker(exchange)
        member = await broker.subscribe("shop", TOPICS)
        await broker.publish([outgoing(n) for n in range(30)])
        assert sorted(set(await drained(member))) == list(range(30))
        exchange.habits.settle()
        await broker.publish([outgoing(99)])
        assert await drained(member) == [99]

    run(main, expelled=0.4)


def test_a_broker_that_cannot_be_reached_is_away() -> None:
    async def main(exchange: SimulatedExchange) -> None:
        line = Line(weather=Weather(), chance=Random(1))
        broker = SimulatedBroker(exchange, line)
        member = await broker.subscribe("shop", TOPICS)
        line.cut = True
        asks: Sequence[Callable[[], Coroutine[Any, Any, Any]]] = (
            lambda: broker.open(TOPICS),
            lambda: broker.publish([outgoing(1)]),
            lambda: broker.subscribe("shop", TOPICS),
            lambda: member.take(1, 1.0),
            lambda: member.acknowledge(()),
            member.close,
        )
        for ask in asks:
            with pytest.raises(BrokerAway):
                await ask()
        line.cut = False
        await broker.publish([outgoing(1)])
        assert len(await member.take(1, 1.0)) == 1

    run(main)
