"""Idempotency: one effect for one key, however often and however many at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kernel_world import Build, World

from mainstay import Dto, Entity, Module, Repository, Secret, anyone
from mainstay.kernel.call import Reply
from mainstay.kernel.flow.records import IdempotencyRecord
from mainstay.kernel.guard.once import RETENTION
from mainstay.model.conditions import TRUE
from mainstay.model.problem import Problem


class Payment(Entity):
    amount: int


class Pay(Dto):
    amount: int


def payments(gate: asyncio.Event | None = None) -> Module:
    module = Module("payments")

    @module.command("POST /payments", status=201, allow=anyone)
    async def pay(body: Pay, rows: Repository[Payment]) -> Payment:
        if gate is not None:
            await gate.wait()
        if body.amount < 0:
            raise Problem("no")
        return await rows.add(Payment(amount=body.amount))

    @module.command("POST /required", allow=anyone, idempotency="required")
    async def required() -> int:
        return 1

    @module.command("POST /none", allow=anyone, idempotency="none")
    async def none(rows: Repository[Payment]) -> int:
        await rows.add(Payment(amount=1))
        return 1

    @module.query("GET /count", allow=anyone)
    async def count(rows: Repository[Payment]) -> int:
        return await rows.count()

    return module


def told(outcome: Reply | Problem) -> Any:
    return outcome.code if isinstance(outcome, Problem) else msgspec.json.decode(outcome.body)


async def pay(world: World, key: str | None, amount: int = 1, **more: Any) -> Reply | Problem:
    return await world.send("pay", body=b'{"amount": %d}' % amount, idempotency_key=key, **more)


async def effects(world: World) -> Any:
    return told(await world.send("count"))


async def test_a_repeated_request_gets_the_first_reply(build: Build) -> None:
    world = await build(payments())
    first = await pay(world, "k")
    world.clock.advance(5)
    again = await pay(world, "k")
    assert isinstance(first, Reply)
    assert isinstance(again, Reply)
    assert (again.body, again.status, again.version, again.location) == (
        first.body,
        first.status,
        first.version,
        first.location,
    )
    assert (first.replayed, again.replayed) == (False, True)
    assert world.ear.calls[-1].replayed
    assert await effects(world) == 1


async def test_another_request_under_the_same_key_is_refused(build: Build) -> None:
    world = await build(payments())
    await pay(world, "k", 1)
    assert told(await pay(world, "k", 2)) == "idempotency_key_reused"
    assert told(await pay(world, "k", 1, if_match=(3,))) == "idempotency_key_reused"
    assert await effects(world) == 1


async def test_a_key_belongs_to_its_caller(build: Build) -> None:
    world = await build(payments())
    for who in (b"ann", b"bob", None):
        assert not (await pay(world, "k", credentials=who)).replayed  # type: ignore[union-attr]  # a Reply
    assert not (await pay(world, "k", peer="192.0.2.2")).replayed  # type: ignore[union-attr]  # a Reply
    assert (await pay(world, "k", credentials=b"ann")).replayed  # type: ignore[union-attr]  # a Reply
    assert await effects(world) == 4


async def test_racing_retries_have_one_effect(build: Build) -> None:
    gate = asyncio.Event()
    world = await build(payments(gate))
    racing = [asyncio.create_task(pay(world, "k")) for _ in range(30)]
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*racing)
    assert sum(isinstance(o, Reply) for o in outcomes) == 1
    assert {o.code for o in outcomes if isinstance(o, Problem)} == {"idempotency_in_flight"}
    assert await effects(world) == 1
    assert (await pay(world, "k")).replayed  # type: ignore[union-attr]  # a Reply


async def test_a_problem_is_not_stored_and_frees_the_key(build: Build) -> None:
    world = await build(payments())
    assert told(await pay(world, "k", -1)) == "problem"
    assert told(await pay(world, "k", 2))["amount"] == 2


async def test_a_key_is_forgotten_in_time(build: Build) -> None:
    world = await build(payments())
    await pay(world, "k")
    world.clock.advance(RETENTION - timedelta(seconds=1))
    assert (await pay(world, "k")).replayed  # type: ignore[union-attr]  # a Reply
    world.clock.advance(1)
    assert not (await pay(world, "k", 7)).replayed  # type: ignore[union-attr]  # a Reply
    assert told(await pay(world, "k", 7))["amount"] == 7


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "a\nb"])
async def test_a_key_has_a_form(build: Build, key: str) -> None:
    world = await build(payments())
    assert told(await pay(world, key)) == "idempotency_key_invalid"


async def test_a_key_may_be_required(build: Build) -> None:
    world = await build(payments())
    assert told(await world.send("required")) == "idempotency_key_required"
    assert told(await world.send("required", idempotency_key="k")) == 1


async def test_a_key_may_mean_nothing(build: Build) -> None:
    world = await build(payments())
    for _ in range(2):
        await world.send("none", idempotency_key="k")
    assert await effects(world) == 2


async def test_a_reply_that_shows_a_secret_is_not_kept(build: Build) -> None:
    from mainstay.kernel.guard.once import store_reply

    world = await build(payments())
    call = world.call("pay", idempotency_key="k")
    call.claim, call.fingerprint = b"scope", b"print"
    transaction = world.store.begin(write=True)
    shown = Reply(body=Secret("shown once").reveal().encode(), secret=True)
    store_reply(call, shown, transaction, world.bound.ports)
    (kept,) = await transaction.rows(IdempotencyRecord).fetch(_all())
    await transaction.rollback()
    assert b"shown" not in kept.reply


def _all() -> Any:
    from mainstay.ports.rows import Query

    return Query(where=TRUE)
