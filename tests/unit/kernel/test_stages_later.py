"""Stages that must wait: limiters and verifiers that answer later, and what is charged for what."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from kernel_world import ANN, Build, World

from mainstay import Module, Principal, anyone, authenticated, limit, role, scope
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.stages import FAILED_AUTHENTICATION, authenticate
from mainstay.model.limits import Limit
from mainstay.model.problem import Problem, TooMany, Unauthenticated
from mainstay.ports.limiter import Limiter, Verdict
from mainstay.ports.tokens import TokenVerifier
from mainstay.testing.fixed import FixedClock


class Later(Limiter):
    """A limiter that answers when it is waited for."""

    def __init__(self) -> None:
        self.inner = MemoryLimiter(FixedClock())
        self.waited = 0

    def charge(self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1) -> Awaitable[Sequence[Verdict]]:
        return self._later(self.inner.charge(charges, cost=cost))

    def peek(self, charges: Sequence[tuple[Limit, str]]) -> Awaitable[Sequence[Verdict]]:
        return self._later(self.inner.peek(charges))

    async def _later(self, verdicts: Any) -> Any:
        self.waited += 1
        return verdicts


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Make every world of the test bind to a limiter that answers later."""
    made = Later()
    monkeypatch.setattr("kernel_world.Ports", lambda **ports: Ports(**{**ports, "limiter": made}))
    return made


def code(outcome: Reply | Problem) -> str:
    return outcome.code if isinstance(outcome, Problem) else "ok"


def limited() -> Module:
    module = Module("limited")

    @module.query("GET /mine", allow=anyone, limits=[limit("2/minute"), limit("3/minute", by="address")])
    async def mine() -> int:
        return 1

    return module


async def test_a_limiter_may_answer_later(build: Build, later: Later) -> None:
    world = await build(limited())
    assert [code(await world.send("mine")) for _ in range(3)] == ["ok", "ok", "rate_limited"]
    call = world.call("mine", peer="b")
    assert code(await dispatch(call)) == "ok"
    assert [v.limit.by for v in call.verdicts] == ["address", "principal"]
    assert later.waited == 8


@pytest.mark.parametrize("tokens_later", [False, True])
async def test_refused_credentials_are_charged_by_a_limiter_that_answers_later(
    build: Build, later: Later, tokens_later: bool
) -> None:
    world = await build(limited())
    world.tokens.later = tokens_later
    outcomes = [code(await world.send("mine", credentials=b"eve")) for _ in range(5)]
    assert outcomes == ["unauthenticated"] * 3 + ["rate_limited"] * 2


class Refusing(TokenVerifier):
    def __init__(self, later: bool) -> None:
        self.later = later

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        return self._later() if self.later else self._now()

    def _now(self) -> Principal:
        raise Unauthenticated("no")

    async def _later(self) -> Principal:
        return self._now()


@pytest.mark.parametrize("tokens_later", [False, True])
@pytest.mark.parametrize("limiter_later", [False, True])
async def test_every_way_of_waiting_ends_in_the_refusal_and_then_in_the_limit(
    tokens_later: bool, limiter_later: bool
) -> None:
    limiter: Limiter = Later() if limiter_later else MemoryLimiter(FixedClock())
    stage = authenticate(Refusing(tokens_later), limiter)
    operation: Any = None
    refusals = []
    for _ in range(FAILED_AUTHENTICATION.quota + 1):
        try:
            waiting = stage(Call(operation=operation, credentials=b"x", peer="a"))
            if waiting is not None:
                await waiting
        except Problem as problem:
            refusals.append(problem)
    assert [type(p) for p in refusals] == [Unauthenticated] * FAILED_AUTHENTICATION.quota + [TooMany]
    assert isinstance(refusals[-1].__cause__, Unauthenticated)
    assert refusals[-1].retry_after


async def test_a_service_without_keys_takes_no_credentials() -> None:
    operation: Any = None
    stage = authenticate(None, MemoryLimiter(FixedClock()))
    assert stage(Call(operation=operation)) is None
    with pytest.raises(Unauthenticated, match="takes no credentials"):
        stage(Call(operation=operation, credentials=b"x"))


async def test_a_limit_by_principal_counts_an_anonymous_caller_by_address_and_tenants_apart(build: Build) -> None:
    world = await build(limited())
    first, second = (Principal(id=ANN.id, tenant=tenant) for tenant in ("one", "two"))
    for who, peer, expected in (
        (first, "a", "ok"),
        (first, "b", "ok"),
        (first, "c", "rate_limited"),
        (second, "d", "ok"),
        (None, "e", "ok"),
    ):
        call = world.call("mine", peer=peer)
        if who is not None:
            call.principal = who
        assert code(await dispatch(call)) == expected


async def test_a_policy_of_the_call(build: Build) -> None:
    module = Module("guarded")

    @module.query("GET /scoped", allow=scope("read") | role("manager") & ~role("customer"))
    async def scoped() -> int:
        return 1

    @module.query("GET /known", allow=authenticated)
    async def known() -> int:
        return 1

    world: World = await build(module)
    outcomes = [code(await world.send("scoped", credentials=who)) for who in (None, b"ann", b"max")]
    assert outcomes == ["credentials_missing", "forbidden", "ok"]
    refused = await world.send("known")
    assert isinstance(refused, Unauthenticated)
    assert refused.headers == {"www-authenticate": "Bearer"}
