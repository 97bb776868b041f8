"""Rows that a part of Mainstay changes beside calls: in a transaction, and again where it met another."""

from __future__ import annotations

import pytest
from kernel_world import Build, World

from mainstay import Entity, Module, Principal, Repository, anyone
from mainstay.kernel.records import ATTEMPTS, Records, rows_of
from mainstay.model.problem import SerializationConflict, StaleVersion, UniqueConflict
from mainstay.ports.unit_of_work import Frame, UnitOfWork


class Coin(Entity):
    worth: int


def purse() -> Module:
    module = Module("purse")

    @module.query("GET /coins", allow=anyone)
    async def coins(rows: Repository[Coin]) -> int:
        return await rows.count()

    return module


def records_of(world: World) -> Records:
    ports = world.bound.ports
    plans = world.bound.plans
    return Records(Frame(Principal.system, "purse", ports.clock, ports.ids, ports.sealer, plans, ports.store))


@pytest.mark.parametrize("conflict", [SerializationConflict, StaleVersion, UniqueConflict])
async def test_what_met_another_is_run_again_and_is_done_once(build: Build, conflict: type[Exception]) -> None:
    records, attempts = records_of(await build(purse())), []

    async def work(unit: UnitOfWork) -> int:
        attempts.append(await rows_of(unit, Coin).add(Coin(worth=len(attempts))))
        if len(attempts) < ATTEMPTS:
            raise conflict
        return len(attempts)

    assert await records.change(work) == ATTEMPTS
    assert [coin.worth for coin in await records.all(Coin)] == [ATTEMPTS - 1]


async def test_what_always_meets_another_is_given_up(build: Build) -> None:
    records, attempts = records_of(await build(purse())), []

    async def work(unit: UnitOfWork) -> None:
        attempts.append(await rows_of(unit, Coin).add(Coin(worth=1)))
        raise StaleVersion

    with pytest.raises(StaleVersion):
        await records.change(work)
    assert len(attempts) == ATTEMPTS
    assert await records.all(Coin) == []


async def test_what_fails_otherwise_is_undone_and_not_run_again(build: Build) -> None:
    records, attempts = records_of(await build(purse())), []

    async def work(unit: UnitOfWork) -> None:
        attempts.append(await rows_of(unit, Coin).add(Coin(worth=1)))
        raise LookupError

    with pytest.raises(LookupError):
        await records.change(work)
    assert len(attempts) == 1
    assert await records.read(lambda unit: rows_of(unit, Coin).count()) == 0
