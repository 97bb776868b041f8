"""Operations that find out themselves who calls: the pipeline leaves the credentials alone, whatever they are."""

from __future__ import annotations

from typing import Annotated

import pytest
from kernel_world import Build

from mainstay import Module, Principal, RawBody, RawForm, anyone
from mainstay.kernel.call import Reply
from mainstay.model.builtin import BuiltIn
from mainstay.model.fields import header
from mainstay.model.operation import self_authenticated
from mainstay.model.policy import Policy, authenticated
from mainstay.model.problem import Problem

module = Module("gate")


@module.command("POST /gate", allow=self_authenticated, idempotency="none")
async def pass_gate(
    body: RawForm, who: Principal, authorization: Annotated[str | None, header("Authorization")] = None
) -> list[str]:
    return [bytes(body).decode(), type(body).__name__, who.subject, str(authorization)]


@module.command("POST /open", allow=anyone, idempotency="none")
async def pass_open(body: RawBody, who: Principal) -> str:
    return who.subject


@pytest.mark.parametrize("given", [{}, {"scheme": "Basic"}, {"credentials": b"nonsense"}, {"credentials": b"ann"}])
async def test_no_credentials_are_judged_before_the_use_case(build: Build, given: dict[str, object]) -> None:
    world = await build(fresh())
    reply = await world.send(
        "pass_gate",
        body=b"a=b",
        headers={"authorization": "Basic abc"}.get,
        **given,  # type: ignore[arg-type]
    )
    assert isinstance(reply, Reply)
    assert reply.body == b'["a=b","RawForm","anonymous","Basic abc"]'


async def test_elsewhere_they_are(build: Build) -> None:
    world = await build(fresh())
    refused = await world.send("pass_open", body=b"x", scheme="Basic")
    assert isinstance(refused, Problem)
    assert refused.code == "scheme_refused"


async def test_a_form_says_its_media_type(build: Build) -> None:
    world = await build(fresh())
    assert world.names["pass_gate"].media.accepts == ("application/x-www-form-urlencoded",)
    assert world.names["pass_open"].media.accepts == ("*/*",)


class Narrow(BuiltIn):
    """Narrows every policy to who is known."""

    def modules(self) -> list[Module]:
        return []

    def narrowed(self, policy: Policy) -> Policy:
        return policy & authenticated


class Plain(BuiltIn):
    """Says nothing of policies."""

    def modules(self) -> list[Module]:
        return []


async def test_what_a_service_takes_on_may_narrow_its_policies(build: Build) -> None:
    for identity, passes in ((Narrow(), False), (Plain(), True)):
        world = await build(fresh(), identity=identity)
        answer = await world.send("pass_open", body=b"x")
        assert isinstance(answer, Reply) is passes
        assert isinstance(await world.send("pass_open", body=b"x", credentials=b"ann"), Reply)


def fresh() -> Module:
    """Return the module anew: one belongs to one service."""
    made = Module("gate")
    made.operations.extend(module.operations)
    return made
