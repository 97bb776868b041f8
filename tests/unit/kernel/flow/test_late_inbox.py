"""A consumer that reaches outside: nothing is held open while it waits, and its effect inside is still one."""

from __future__ import annotations

from typing import Any

from flow_world import change, inbox, number_of
from kernel_world import Build, World

from mainstay import Entity, Event, Events, Module, Repository, Service, anyone
from mainstay.kernel.call import Reply
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.conditions import TRUE
from mainstay.model.problem import Problem
from mainstay.ports.unit_of_work import UnitOfWork


class Rung(Event):
    number: int


class Sent(Entity):
    number: int


class Post:
    """The outside."""

    def __init__(self) -> None:
        self.sent: list[bool] = []

    async def send(self, unit: UnitOfWork) -> None:
        self.sent.append(unit.begun)


def bells(*, latest_only: bool = False) -> Module:
    module = Module("bells")

    @module.command("POST /ring", allow=anyone)
    async def ring(number: int, events: Events) -> None:
        events.emit(Rung(number=number), key="k" if latest_only else None)

    @module.on(Rung, latest_only=latest_only)
    async def pass_on(event: Rung, post: Post, rows: Repository[Sent], unit: UnitOfWork) -> None:
        await post.send(unit)
        await rows.add(Sent(number=event.number))

    return module


async def world_of(build: Build, *, latest_only: bool = False) -> tuple[World, Post]:
    post = Post()

    def provide(service: Service) -> None:
        service.provide(Post, lambda: post)

    return await build(bells(latest_only=latest_only), provide=provide), post


async def received(world: World, *numbers: int) -> list[InboxMessage]:
    """Have events in the inbox, and return them."""
    for number in numbers:
        await world.send("ring", body=b'{"number": %d}' % number)
    worker = world.worker()
    await worker.shares.step()
    await worker.relay.step()
    return sorted(await inbox(world), key=number_of)


async def count(world: World, entity: Any) -> int:
    transaction = world.store.begin(write=False)
    found = await transaction.rows(entity).count(TRUE)
    await transaction.rollback()
    return found


async def test_nothing_is_begun_while_it_waits_and_a_second_delivery_does_nothing(build: Build) -> None:
    world, post = await world_of(build)
    (row,) = await received(world, 1)
    for replayed in (False, True):
        outcome = await world.send("pass_on", body=b'{"number": 1}', message=row)
        assert isinstance(outcome, Reply)
        assert outcome.replayed is replayed
    assert post.sent == [False]
    assert await count(world, Sent) == 1
    assert [done.state for done in await inbox(world)] == [State.DONE]


async def test_of_two_deliveries_at_once_one_is_undone(build: Build) -> None:
    world, post = await world_of(build)
    (row,) = await received(world, 1)
    send, outcomes = post.send, []

    async def send_twice(unit: UnitOfWork) -> None:
        await send(unit)
        if len(post.sent) == 1:
            outcomes.append(await world.send("pass_on", body=b'{"number": 1}', message=row))

    post.send = send_twice  # type: ignore[method-assign]
    outcomes.append(await world.send("pass_on", body=b'{"number": 1}', message=row))
    assert isinstance(outcomes[0], Reply)
    assert isinstance(outcomes[1], Problem)
    assert await count(world, Sent) == 1
    assert [done.state for done in await inbox(world)] == [State.DONE]


async def test_what_is_overtaken_while_it_waits_has_no_effect_inside(build: Build) -> None:
    world, post = await world_of(build, latest_only=True)
    first, second = await received(world, 1, 2)
    send = post.send

    async def overtaken(unit: UnitOfWork) -> None:
        await send(unit)
        await change(world, InboxMessage, second.id, state=State.DONE, place=None)

    post.send = overtaken  # type: ignore[method-assign]
    outcome = await world.send("pass_on", body=b'{"number": 1}', message=first)
    assert isinstance(outcome, Reply)
    assert outcome.replayed
    assert await count(world, Sent) == 0
    assert [row.state for row in await inbox(world)] == [State.PENDING, State.DONE]


async def test_without_a_message_there_is_no_mark(build: Build) -> None:
    world, post = await world_of(build)
    for _ in range(2):
        await world.send("pass_on", body=b'{"number": 1}')
    assert len(post.sent) == 2
    assert await inbox(world) == []
