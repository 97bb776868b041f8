"""What a use case says of its answer: that it shows a secret, and what the client is to keep."""

from __future__ import annotations

from typing import Any

from kernel_world import Build, World

from mainstay import Module, anyone
from mainstay.kernel.call import Reply
from mainstay.ports.answering import Answering, Keep
from mainstay.ports.tokens import forgery_token


async def reply(world: World, name: str, **given: Any) -> Reply:
    outcome = await world.send(name, **given)
    assert isinstance(outcome, Reply)
    return outcome


def telling() -> Module:
    module = Module("telling")

    @module.command("POST /confided", allow=anyone)
    async def confided(answering: Answering) -> str:
        answering.confide()
        answering.confide()
        return "a secret"

    @module.command("POST /kept", allow=anyone)
    async def kept(answering: Answering) -> None:
        answering.keep(Keep("first", 5))
        answering.keep(Keep("second", 10))
        answering.confide()

    @module.command("POST /plain", allow=anyone)
    async def plain(answering: Answering) -> str:
        return "no secret"

    return module


async def test_a_reply_tells_what_was_said_of_it(build: Build) -> None:
    world = await build(telling())
    confided = await reply(world, "confided")
    assert (confided.secret, confided.keep) == (True, None)
    kept = await reply(world, "kept")
    assert (kept.secret, kept.keep) == (True, Keep("second", 10))
    plain = await reply(world, "plain")
    assert (plain.secret, plain.keep) == (False, None)


async def test_what_a_client_keeps_is_never_given_again(build: Build) -> None:
    world = await build(telling())
    await reply(world, "kept", idempotency_key="once")
    again = await reply(world, "kept", idempotency_key="once")
    assert (again.replayed, again.keep, again.body) == (True, None, b"")
    await reply(world, "confided", idempotency_key="once")
    assert (await reply(world, "confided", idempotency_key="once")).body == b""


async def test_a_query_says_nothing_of_its_answer(build: Build) -> None:
    module = Module("telling")

    @module.query("GET /told", allow=anyone)
    async def told(answering: Answering) -> str:
        return str(answering)

    (fault,) = (await build(module)).bound.faults
    assert "parameter answering changes things, and a query does not" in str(fault)


def test_a_secret_shows_in_no_representation() -> None:
    assert repr(Keep("mst_secret", 60)) == "<Keep for 60 s>"
    assert len(forgery_token(b"mst_secret")) == 64
    assert forgery_token(b"mst_secret") == forgery_token(b"mst_secret") != forgery_token(b"mst_other")
