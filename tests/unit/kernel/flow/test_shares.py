"""A lease whose holder has died is taken over at once; one whose holder lives is not, however it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import Module
from mainstay.kernel.flow.lease import RENEW, TERM, Lease


@pytest.fixture
async def world(build: Any) -> Any:
    return await build(Module("plain"))


def lease(world: Any, holder: str) -> Lease:
    return Lease(world.bound.ports, "relay", holder)


async def die(world: Any, holder: str) -> None:
    """Do what the end of a process does to its claims."""
    await world.bound.ports.store.claims.drop(f"lease:relay:{holder}".encode())


async def test_a_dead_holder_is_followed_at_once(world: Any) -> None:
    first, second, third = (lease(world, name) for name in ("first", "second", "third"))
    assert await first.hold()
    await die(world, "first")
    assert await second.hold()
    assert not await third.hold()


async def test_a_live_holder_is_not_followed_before_its_term(world: Any) -> None:
    first, second = lease(world, "first"), lease(world, "second")
    assert await first.hold()
    for _ in range(2):
        world.clock.advance(RENEW)
        assert not await second.hold()
        assert await first.hold()
    world.clock.advance(TERM)
    assert await second.hold()  # it lives, and has been silent for a whole term


async def test_a_claim_that_was_missed_is_taken_at_the_renewal(world: Any) -> None:
    claims = world.bound.ports.store.claims
    assert await claims.take(b"lease:relay:first")  # somebody looks whether it is alive, just now
    first, second = lease(world, "first"), lease(world, "second")
    assert await first.hold()
    await claims.drop(b"lease:relay:first")
    world.clock.advance(RENEW)
    assert await first.hold()
    assert not await second.hold()


async def test_what_is_given_back_leaves_no_claim(world: Any) -> None:
    first, second = lease(world, "first"), lease(world, "second")
    assert await first.hold()
    assert not await second.hold()
    await first.release()
    await second.release()
    for name in ("first", "second"):
        assert await world.bound.ports.store.claims.take(f"lease:relay:{name}".encode())
