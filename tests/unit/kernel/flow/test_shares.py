"""Shares: replicas part the partitions evenly, follow a dead one at once and a live one not before its term."""

from __future__ import annotations

from typing import Any

import pytest
from flow_world import failing, rows_of
from kernel_world import Build, World

from mainstay import Module
from mainstay.kernel.flow.records import Lease
from mainstay.kernel.flow.shares import RENEW, SOON, TERM, WAITING, LeaseLost, Shares
from mainstay.model.problem import NotFound, SerializationConflict, StaleVersion, UniqueConflict

ALL = set(range(16))


@pytest.fixture
async def world(build: Build) -> World:
    return await build(Module("plain"))


def shares(world: World, holder: str) -> Shares:
    return Shares(world.bound.ports, holder)


async def settled(world: World, *those: Shares) -> list[set[int]]:
    """Let replicas look until each has what it is to have."""
    for _ in range(6):
        world.clock.advance(RENEW)
        for one in those:
            await one.step()
    return [set(one.held) for one in those]


async def die(world: World, holder: str) -> None:
    """Do what the end of a process does to its claims."""
    await world.bound.ports.store.claims.drop(f"lease:member:{holder}".encode())


async def checked(world: World, one: Shares, *partitions: int) -> None:
    transaction = world.store.begin(write=True)
    try:
        await one.check(transaction, partitions)
        await transaction.commit()
    finally:
        await transaction.rollback()


async def test_one_replica_holds_everything(world: World) -> None:
    alone = shares(world, "alone")
    assert await alone.step() is True
    assert set(alone.held) == ALL
    assert await alone.step() is False
    await checked(world, alone, *ALL)


@pytest.mark.parametrize("count", [2, 3, 5, 16])
async def test_replicas_part_the_partitions_evenly(world: World, count: int) -> None:
    those = [shares(world, f"r{number:02}") for number in range(count)]
    held = await settled(world, *those)
    assert set().union(*held) == ALL
    assert sum(map(len, held)) == 16
    assert max(map(len, held)) - min(map(len, held)) <= 1


async def test_more_replicas_than_partitions_leave_some_with_nothing(world: World) -> None:
    held = await settled(world, *(shares(world, f"r{number:02}") for number in range(20)))
    assert sorted(map(len, held)) == [0] * 4 + [1] * 16


async def test_a_fence_rises_with_each_holder(world: World) -> None:
    first, second = shares(world, "first"), shares(world, "second")
    await first.step()
    fences = dict(first.held)
    await first.release()
    assert first.held == {}
    await second.step()
    assert all(second.held[p] == fences[p] + 1 for p in ALL)


async def test_who_was_passed_over_changes_nothing_any_more(world: World) -> None:
    stuck, other = shares(world, "stuck"), shares(world, "other")
    await stuck.step()
    await checked(world, stuck, 3)
    world.clock.advance(TERM)
    assert stuck.held == {}  # it knows by its own clock
    assert not stuck.holds(3)
    await other.step()
    with pytest.raises(LeaseLost):
        await checked(world, stuck, 3)
    await checked(world, other, 3)


async def test_who_comes_back_after_its_term_and_finds_nobody_goes_on(world: World) -> None:
    slow = shares(world, "slow")
    await slow.step()
    fences = dict(slow.held)
    world.clock.advance(TERM * 3)
    assert slow.held == {}
    await slow.step()
    assert slow.held == fences


async def test_a_partition_that_was_never_held_is_not_one_of_ours(world: World) -> None:
    with pytest.raises(LeaseLost):
        await checked(world, shares(world, "nobody"), 1)


async def test_a_dead_replica_is_followed_at_once(world: World) -> None:
    first, second, third = (shares(world, name) for name in ("a", "b", "c"))
    await first.step()
    await die(world, "a")
    await second.step()
    assert set(second.held) == ALL
    await third.step()
    assert third.held == {}
    world.clock.advance(TERM * 3)
    await second.step()
    assert "member:a" not in {row.name for row in await rows_of(world, Lease)}


async def test_a_live_replica_is_not_followed_before_its_term(world: World) -> None:
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    for _ in range(3):
        world.clock.advance(WAITING)
        await second.step()
        assert second.held == {}
    world.clock.advance(TERM)
    await second.step()
    assert set(second.held) == ALL  # it lives, and has been silent for a whole term: nobody else is there


async def test_a_claim_that_was_missed_is_taken_at_the_renewal(world: World) -> None:
    claims = world.bound.ports.store.claims
    assert await claims.take(b"lease:member:a")  # somebody looks whether it is alive, just now
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    await claims.drop(b"lease:member:a")
    world.clock.advance(RENEW)
    await first.step()
    await second.step()
    assert second.held == {}


async def test_what_is_given_back_leaves_no_claim_and_waits_for_no_term(world: World) -> None:
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    await second.step()
    await first.release()
    world.clock.advance(WAITING)
    await second.step()
    assert set(second.held) == ALL
    await second.release()
    await second.release()
    for name in ("a", "b"):
        assert await world.bound.ports.store.claims.take(f"lease:member:{name}".encode())
    assert {row.holder for row in await rows_of(world, Lease)} == {""}


async def test_a_partition_is_given_away_once_nothing_runs_for_it(world: World) -> None:
    first, second = shares(world, "a"), shares(world, "b")
    busy = {9}
    first.drained_by(busy.__contains__)
    await first.step()
    await second.step()
    world.clock.advance(RENEW)
    await first.step()
    assert set(first.held) == set(range(8))
    world.clock.advance(WAITING)
    await second.step()
    assert set(second.held) == ALL - set(range(8)) - {9}
    await checked(world, first, 9)  # what runs for it may still be noted
    busy.clear()
    world.clock.advance(SOON)
    await first.step()
    world.clock.advance(WAITING)
    await second.step()
    assert 9 in second.held


async def test_who_hears_others_looks_sooner_but_not_all_the_time(world: World) -> None:
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    await second.step()
    assert first.due_in() == RENEW
    assert first.hear() is True
    assert first.hear() is False  # it is no news any more
    assert first.due_in() == WAITING
    assert await first.step() is False
    world.clock.advance(WAITING)
    await first.step()
    assert set(first.held) == set(range(8))
    assert first.due_in() == RENEW


async def test_what_is_heard_in_the_middle_of_a_look_is_not_forgotten(world: World) -> None:
    one = shares(world, "a")
    looked = one._look

    async def look_and_hear() -> Any:
        rows = await looked()
        one.hear()
        return rows

    one._look = look_and_hear  # type: ignore[method-assign]  # a double
    await one.step()
    assert one.due_in() == WAITING


async def test_who_comes_gives_or_goes_rings_and_nobody_else(world: World) -> None:
    rings: list[str] = []
    world.store.ring = lambda: rings.append("rung")  # type: ignore[method-assign]  # a double
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    await second.step()
    assert len(rings) == 2  # they have come
    world.clock.advance(RENEW)
    await first.step()
    assert len(rings) == 3  # the half is given
    world.clock.advance(WAITING)
    await second.step()
    world.clock.advance(RENEW)
    await first.step()
    await second.step()
    assert len(rings) == 3
    await second.release()
    assert len(rings) == 4


@pytest.mark.parametrize("lost", [UniqueConflict, StaleVersion, NotFound, SerializationConflict])
async def test_who_was_slower_looks_again_soon(world: World, monkeypatch: pytest.MonkeyPatch, lost: Any) -> None:
    one = shares(world, "a")
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, lost()))
        assert await one.step() is False
    assert one.held == {}
    world.clock.advance(SOON)
    await one.step()
    assert set(one.held) == ALL


async def test_a_store_that_fails_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shares(world, "a")
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await one.step()
    world.clock.advance(SOON)
    assert await one.step()
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await one.release()
    world.clock.advance(TERM)
    other = shares(world, "other")
    await other.step()
    assert set(other.held) == ALL


async def test_a_lease_that_another_took_meanwhile_is_not_renewed(world: World) -> None:
    first, second = shares(world, "a"), shares(world, "b")
    await first.step()
    world.clock.advance(TERM)
    found, looked = [], first._look

    async def look_then_lose() -> Any:
        rows = await looked()
        if not found:
            found.append(await second.step())
        return rows

    first._look = look_then_lose  # type: ignore[method-assign]
    assert await first.step() is False
    assert set(second.held) == ALL
    with pytest.raises(LeaseLost):
        await checked(world, first, 0)


@pytest.mark.parametrize("times", [1, 99])
async def test_what_meets_another_while_it_is_given_back_is_given_back_again_or_left_to_the_claim(
    world: World, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    one = shares(world, "a")
    await one.step()
    whole, left = world.store.begin, [times]

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        if left[0]:
            left[0] -= 1

            async def commit() -> None:
                raise SerializationConflict

            transaction.commit = commit
        return transaction

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", begin)
        await one.release()
    assert {row.holder for row in await rows_of(world, Lease)} == ({""} if times == 1 else {"a"})
    other = shares(world, "b")
    await other.step()
    assert set(other.held) == ALL
