"""A service on memory adapters, with time, ids and chance that a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from mainstay import Module, Principal, Service
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.worker import EventWorker
from mainstay.model.problem import Problem, Unauthenticated
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer
from mainstay.ports.tokens import TokenVerifier
from mainstay.testing.fixed import ClearSealer, FixedClock, SeededEntropy, SequentialIds

ANN = Principal(id=UUID(int=101), subject="ann", roles=frozenset({"customer"}))
BOB = Principal(id=UUID(int=102), subject="bob", roles=frozenset({"customer"}))
MANAGER = Principal(id=UUID(int=103), subject="max", roles=frozenset({"manager"}))


class Ear(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.heard.append(observation)

    @property
    def calls(self) -> list[CallEnded]:
        return [o for o in self.heard if isinstance(o, CallEnded)]

    @property
    def notices(self) -> list[Notice]:
        return [o for o in self.heard if isinstance(o, Notice)]


class Names(TokenVerifier):
    """Takes a name for a token."""

    def __init__(self) -> None:
        self.later = False

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        return self._later(token) if self.later else self._now(token)

    async def _later(self, token: bytes) -> Principal:
        return self._now(token)

    def _now(self, token: bytes) -> Principal:
        for who in (ANN, BOB, MANAGER):
            if who.subject.encode() == token:
                return who
        raise Unauthenticated


@dataclass
class World:
    """A bound service and what it stands on."""

    bound: Bound
    clock: FixedClock
    ear: Ear
    tokens: Names
    store: MemoryStore
    names: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, **given: Any) -> Call:
        given.setdefault("request_id", "r-1")
        given.setdefault("peer", "192.0.2.1")
        return Call(operation=self.names[name], **given)

    def worker(self, holder: str = "me") -> EventWorker:
        return EventWorker(self.bound, holder)

    async def send(self, name: str, **given: Any) -> Reply | Problem:
        return await dispatch(self.call(name, **given))


Build = Callable[..., Awaitable[World]]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    worlds: list[World] = []

    async def make(*modules: Module, limits: Any = (), provide: Any = None, known: Any = None, **more: Any) -> World:
        clock, ear, tokens = FixedClock(), Ear(), Names()
        store = more.pop("store", None) or MemoryStore()
        service = Service("sample", modules=modules, limits=limits, identity=more.pop("identity", None))
        if provide is not None:
            provide(service)
        ports = Ports(
            store=store,
            limiter=MemoryLimiter(clock),
            clock=clock,
            ids=SequentialIds(),
            entropy=SeededEntropy(1),
            sealer=ClearSealer(),
            observer=ear,
            tokens=tokens,
            recent=more.pop("recent", None),
            broker=more.pop("broker", None),
            held_seconds=more.pop("held_seconds", None),
        )
        bound = bind(service, ports, known=known, **more)
        world = World(bound, clock, ear, tokens, store, {o.name: o for o in bound.operations})
        if not bound.faults:
            await store.start(bound.tables)
            await bound.providers.start()
            worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.bound.providers.stop()
        await world.store.stop()
