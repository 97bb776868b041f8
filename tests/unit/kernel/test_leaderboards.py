"""Leaderboards as use cases ask for them: on the service's own database, or outside of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.plans import plan_entities
from mainstay.kernel.providers import Resolver
from mainstay.model.blueprint import draw
from mainstay.model.faults import StartupFailed
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.problem import Forbidden
from mainstay.model.service import Service
from mainstay.model.structs import Dto, Entity
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.scores import Score
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal
from mainstay.testing.unit import memory_unit


class Player(Entity):
    """Somebody who has a score."""

    name: str


class Team(Entity, tenant="tenant_id"):
    """What has a score within a tenant."""

    name: str


class Points(Dto):
    """What somebody has won."""

    member: UUID
    points: Decimal


def module_of(*use_cases: Any) -> Module:
    made = Module("game")
    made.entity(Player, Team)
    for declare in use_cases:
        declare(made)
    return made


async def win(won: Points, players: Leaderboard[Player]) -> Decimal:
    return await players.increment(won.member, won.points)


async def best(players: Leaderboard[Player]) -> list[str]:
    return [f"{one.rank} {one.member.hex[-1]} {one.score}" for one in await players.top(3)]


async def win_for_team(won: Points, teams: Leaderboard[Team]) -> Decimal:
    return await teams.increment(won.member, won.points)


def declared(module: Module) -> None:
    module.command("POST /wins", allow=anyone)(win)
    module.query("GET /best", allow=anyone)(best)


async def test_a_use_case_is_given_the_board_of_its_entity() -> None:
    async with Client(Service("game", modules=[module_of(declared)])) as client:
        for number, points in ((1, "2.5"), (2, "1"), (1, "0.25")):
            body = {"member": str(UUID(int=number)), "points": points}
            assert (await client.post("/wins", json=body)).status == 200
        assert (await client.get("/best")).json == ["1 1 2.75", "2 2 1"]


def test_the_table_of_scores_is_there_where_a_leaderboard_is_asked_for() -> None:
    assert Score in plan_entities(draw(Service("game", modules=[module_of(declared)])))
    assert Score not in plan_entities(draw(Service("game", modules=[module_of()])))
    assert Score in plan_entities(draw(Service("game", modules=[module_of()])), scores=True)


class Ranking:
    """What a team provides with a leaderboard."""

    def __init__(self, players: Leaderboard[Player]) -> None:
        self.players = players


def test_the_table_is_there_for_what_a_service_is_provided_with() -> None:
    service = Service("game", modules=[module_of()])
    service.provide(Ranking, Ranking, scope="call")
    assert Score in plan_entities(draw(service))


class Broken:
    """What cannot be provided."""

    def __init__(self, whatever) -> None:  # type: ignore[no-untyped-def]
        self.whatever = whatever


def test_a_provision_that_cannot_be_made_is_told_elsewhere() -> None:
    service = Service("game", modules=[module_of()])
    service.provide(Broken, Broken, scope="call")
    assert Score not in plan_entities(draw(service))


async def test_a_use_case_is_called_with_a_board_on_memory() -> None:
    one = UUID(int=1)
    async with memory_unit(Player, store=MemoryStore()) as unit:
        assert await win(Points(member=one, points=Decimal(2)), unit.leaderboard(Player)) == 2
        await unit.commit()
        assert await unit.call(win, won=Points(member=one, points=Decimal(3))) == 5
        assert await unit.call(best) == ["1 1 5"]


async def test_a_board_of_a_tenant_needs_one() -> None:
    won = Points(member=UUID(int=1), points=Decimal(2))
    async with memory_unit(Team, who=as_principal("ann", tenant="north")) as unit:
        assert await unit.call(win_for_team, won=won) == 2
        assert await unit.acting_as(as_principal("bob", tenant="south")).call(win_for_team, won=won) == 2
        with pytest.raises(Forbidden):
            await unit.acting_as(as_principal("eve")).call(win_for_team, won=won)


class Outside:
    """A board of which only the name is looked at."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def increment(self, member: UUID, by: Decimal) -> Decimal:
        return Decimal(len(self.name))

    async def top(self, n: int) -> list[Any]:
        return []


OUTSIDE = {Leaderboard: Resolver(make=lambda _scope: Outside, outside=True, shared=True)}


def bound_outside(*use_cases: Any) -> Any:
    from mainstay.adapters.memory.limiter import MemoryLimiter
    from mainstay.kernel.bind import bind
    from mainstay.kernel.bound import Ports
    from mainstay.testing.fixed import ClearSealer, FixedClock, SeededEntropy, SequentialIds
    from mainstay.testing.recorder import Recorder

    clock = FixedClock()
    ports = Ports(
        store=MemoryStore(),
        limiter=MemoryLimiter(clock),
        clock=clock,
        ids=SequentialIds(),
        entropy=SeededEntropy(),
        sealer=ClearSealer(),
        observer=Recorder(),
    )
    return bind(Service("game", modules=[module_of(*use_cases)]), ports, known=OUTSIDE)


def test_a_command_with_a_board_outside_must_say_so() -> None:
    (fault,) = bound_outside(declared).faults
    assert "external=True" in str(fault)
    external = bound_outside(lambda module: module.command("POST /wins", allow=anyone, external=True)(win))
    assert external.faults == []
    assert bound_outside(lambda module: module.query("GET /best", allow=anyone)(best)).faults == []


async def test_a_board_outside_is_named_after_its_entity() -> None:
    bound = bound_outside(lambda module: module.query("GET /best", allow=anyone)(best))
    resolver = bound.providers.resolver(Leaderboard[Player])
    async with memory_unit(Player, provide={Leaderboard: Outside}) as unit:
        assert resolver.outside
        assert await unit.call(win, won=Points(member=UUID(int=1), points=Decimal(1))) == len("test.Player")


async def no_entity(points: Leaderboard[Points]) -> str:  # type: ignore[type-var]
    return str(points)


async def test_what_is_no_entity_of_the_service_has_no_board() -> None:
    module = module_of(lambda module: module.query("GET /x", allow=anyone)(no_entity))
    with pytest.raises(StartupFailed, match="needs an entity of the service"):
        async with Client(Service("game", modules=[module])):
            pass
