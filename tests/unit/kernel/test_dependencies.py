"""Dependencies: found by their type, made once or for each call, cleaned up; what cannot be found is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from kernel_world import Build

from mainstay import Clock, Events, Ids, Log, Module, Principal, Repository, Service, UnitOfWork, anyone
from mainstay.kernel.call import Reply
from mainstay.model.problem import Problem
from mainstay.ports.ids import Entropy


def code(outcome: Reply | Problem) -> str:
    return outcome.code if isinstance(outcome, Problem) else "ok"


def body(outcome: Reply | Problem) -> Any:
    assert isinstance(outcome, Reply), outcome
    return msgspec.json.decode(outcome.body)


async def test_dependencies_are_found_by_their_type(build: Build) -> None:
    module = Module("needy")
    seen: dict[str, Any] = {}

    @module.query("GET /all", allow=anyone)
    async def everything(who: Principal, clock: Clock, ids: Ids, chance: Entropy, log: Log, unit: UnitOfWork) -> None:
        seen.update(who=who, now=clock.now(), id=ids.next(), chance=chance.uniform(), begun=unit.begun)
        log.info("looked", "had a look", at="all")  # noqa: PLE1205 - not the logging module's

    world = await build(module)
    assert code(await world.send("everything")) == "ok"
    assert seen["now"] == world.clock.now()
    assert seen["begun"] is False
    assert world.ear.notices[0].facts == {"operation": "everything", "request_id": "r-1", "at": "all"}


class Mailer:
    def __init__(self, kind: str) -> None:
        self.kind = kind


class Basket:
    def __init__(self, mailer: Mailer, who: str) -> None:
        self.mailer, self.who = mailer, who


class Unknown: ...


class Loop: ...


async def test_provisions_are_made_once_or_for_each_call_and_cleaned_up(build: Build) -> None:
    happened: list[str] = []

    async def mailer() -> AsyncIterator[Mailer]:
        happened.append("open mailer")
        yield Mailer("smtp")
        happened.append("close mailer")

    async def basket(mailer: Mailer, who: Principal) -> AsyncIterator[Basket]:
        happened.append("open basket")
        yield Basket(mailer, who.subject)
        happened.append("close basket")

    def provide(service: Service) -> None:
        service.provide(Basket, basket, scope="call", outside=False)
        service.provide(Mailer, mailer, outside=False)

    module = Module("shop")

    @module.query("GET /basket", allow=anyone)
    async def look(one: Basket, other: Basket, mailer: Mailer) -> str:
        assert one is other
        assert one.mailer is mailer
        return f"{one.who} {mailer.kind}"

    @module.command("POST /basket", allow=anyone)
    async def fill(one: Basket) -> str:
        return one.who

    world = await build(module, provide=provide)
    assert not world.names["look"].inline
    assert body(await world.send("look", credentials=b"ann")) == "ann smtp"
    assert body(await world.send("fill", credentials=b"bob")) == "bob"
    assert happened == ["open mailer", *["open basket", "close basket"] * 2]
    await world.bound.providers.stop()
    assert happened[-1] == "close mailer"


def loop(other: Loop) -> Loop:
    return other


def bare(anything) -> Unknown:  # type: ignore[no-untyped-def]  # that is the fault
    return anything


def lost(thing: "Nowhere") -> Mailer:  # type: ignore[name-defined]  # noqa: F821, UP037 - that is the fault
    return thing


async def test_faults_of_dependencies_are_told_with_their_place(build: Build) -> None:
    module = Module("faulty")

    def declare(route: str, needs: Any, *, command: bool = False) -> None:
        async def use(one: Any) -> None: ...

        use.__annotations__["one"] = needs
        declared = module.command if command else module.query
        declared(route, allow=anyone, name=route.split("/")[1])(use)

    declare("GET /basket", Basket)
    declare("GET /loop", Loop)
    declare("GET /bare", Unknown)
    declare("GET /lost", Mailer)
    declare("GET /rows", Repository[int])
    declare("GET /events", Events)
    declare("POST /mail", Unknown, command=True)

    def provide(service: Service) -> None:
        service.provide(Loop, loop)
        service.provide(Unknown, bare, scope="call")
        service.provide(Mailer, lost, scope="call")

    world = await build(module, provide=provide)
    told = {f.subject: f.message for f in world.bound.faults}
    assert "nothing provides Basket" in told["basket"]
    assert "depends on itself" in told["loop"]
    assert "no annotation" in told["bare"]
    assert "do not resolve" in told["lost"]
    assert "needs an entity" in told["rows"]
    assert "a query does not" in told["events"]
    assert all(f.source.file == __file__ for f in world.bound.faults)


async def test_a_command_that_reaches_outside_says_so(build: Build) -> None:
    module = Module("mail")

    @module.command("POST /a", allow=anyone)
    async def careless(mailer: Mailer) -> None: ...

    @module.command("POST /b", allow=anyone, external=True)
    async def careful(mailer: Mailer) -> None: ...

    world = await build(module, provide=lambda service: service.provide(Mailer, lambda: Mailer("smtp")))
    (fault,) = world.bound.faults
    assert fault.subject == "careless"
    assert "external=True" in (fault.hint or "")
