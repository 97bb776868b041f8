"""Use cases called directly: repositories on memory, for one caller, and no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.memory.store import MemoryStore
from mainstay.kernel.bound import BoundOperation, Media, Ports
from mainstay.kernel.call import Call
from mainstay.kernel.plans import plan_entities
from mainstay.kernel.protect import encrypting, protected
from mainstay.kernel.providers import Providers, Resolver, resolve
from mainstay.kernel.scope import Scope
from mainstay.model.blueprint import draw
from mainstay.model.conditions import Condition
from mainstay.model.faults import StartupFailed
from mainstay.model.module import Module
from mainstay.model.operation import Operation, OperationKind, source_of
from mainstay.model.principal import Principal
from mainstay.model.service import Service
from mainstay.model.signature import Source, signature_of
from mainstay.model.structs import Entity, Event
from mainstay.ports.aggregates import Aggregates
from mainstay.ports.audit import AuditTrail
from mainstay.ports.bulk import Bulk
from mainstay.ports.deleted import Deleted
from mainstay.ports.encryption import tables_of
from mainstay.ports.events import Events
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.observer import Observer
from mainstay.ports.repository import Repository
from mainstay.ports.scores import StoredLeaderboard, board_of
from mainstay.ports.store import Store, Table
from mainstay.testing.backstage import Backstage
from mainstay.testing.fixed import ClearSealer, FixedClock, SeededEntropy, SequentialIds, fixed_cipher
from mainstay.testing.people import as_principal
from mainstay.testing.queries import watched
from mainstay.testing.recorder import Recorder

E = TypeVar("E", bound=Entity)


class MemoryUnit:
    """What a use case is given by hand, for one caller: see ``memory_unit``.

    The doorways belong to one unit of work, begun by their first touch. ``commit`` and ``rollback`` end it, and the
    next touch begins another one; leaving the block rolls back what is open.
    """

    def __init__(self, backstage: Backstage, ports: Ports, who: Principal, provide: Mapping[Any, Any]) -> None:
        self.who = who
        self.emitted: list[Event] = []
        self.recorder: Observer = ports.observer
        self._backstage = backstage
        self._ports = ports
        self._provide = provide
        self._front = backstage.on(ports.store)
        self._unit = self._front.unit(who, write=True)
        self._pending: list[Event] = []

    @property
    def clock(self) -> FixedClock:
        """The time, for the test to decide."""
        clock = self._ports.clock
        assert isinstance(clock, FixedClock)
        return clock

    def repository(self, entity: type[E]) -> Repository[E]:
        """Return the repository of an entity, as the caller has it."""
        return Repository(self._unit, self._backstage.plan(entity))

    def audit(self, entity: type[E]) -> AuditTrail[E]:
        """Return the doorway to what was done to rows, as the caller has it."""
        return AuditTrail(self._unit, self._backstage.plan(entity))

    def deleted(self, entity: type[E]) -> Deleted[E]:
        """Return the doorway to deleted rows that are kept, as the caller has it."""
        return Deleted(self._unit, self._backstage.plan(entity))

    def bulk(self, entity: type[E]) -> Bulk[E]:
        """Return the doorway for changes of many rows, as the caller has it."""
        return Bulk(self._unit, self._backstage.plan(entity))

    def aggregates(self, entity: type[E]) -> Aggregates[E]:
        """Return the doorway for figures, as the caller has it."""
        return Aggregates(self._unit, self._backstage.plan(entity))

    def leaderboard(self, entity: type[E]) -> Leaderboard[E]:
        """Return the leaderboard of an entity, as the caller has it."""
        return StoredLeaderboard(self._unit, board_of(self._backstage.plan(entity), self._unit.frame))

    @property
    def events(self) -> Events:
        """Where a use case emits; what was committed stands in ``emitted``."""
        return Events(lambda event, _key: self._pending.append(event))

    async def commit(self) -> None:
        """Commit what the use case did. Raises what surfaces then; nothing was stored in that case."""
        try:
            await self._unit.commit()
            self.emitted += self._pending
        finally:
            await self.rollback()

    async def rollback(self) -> None:
        """Undo what is not committed."""
        unit, self._unit = self._unit, self._front.unit(self.who, write=True)
        self._pending = []
        await unit.rollback()

    async def call(self, function: Callable[..., Any], /, **inputs: Any) -> Any:
        """Run a use case for the caller: what is not given is found by its type, as a service does it, and the rows and
        events are committed, or rolled back where it raises.
        """
        call, arguments = self._bind(function, inputs)
        scope = Scope(call, self._unit)
        try:
            for name, resolver in arguments.items():
                inputs[name] = await resolve(resolver, scope)
            result = await function(**inputs)
            self._pending += [emitted.event for emitted in scope.emitted]
            await self.commit()
        finally:
            await scope.close()
            await self.rollback()
        return result

    async def given(self, *rows: Any) -> list[Any]:
        """Add rows as the system, in one transaction, and return them as they are stored."""
        return await self._backstage.given(*rows)

    async def stored(
        self, entity: type[E], /, *conditions: Condition, sort: str | None = None, **fields: Any
    ) -> list[E]:
        """Return the rows that match, as the system sees them, in the order of their adding unless told otherwise."""
        return await self._backstage.stored(entity, *conditions, sort=sort, **fields)

    def acting_as(self, who: Principal) -> MemoryUnit:
        """Return a unit of another caller on the same rows."""
        return MemoryUnit(self._backstage, self._ports, who, self._provide)

    def _bind(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[Call, dict[str, Resolver]]:
        operation = Operation(
            name=function.__name__,
            kind=OperationKind.COMMAND,
            module="test",
            function=function,
            source=source_of(function),
        )
        signature = signature_of(operation)
        known = {type_: _always(value) for type_, value in self._provide.items()}
        providers = Providers([], known, self._backstage.plans)
        wanted = [p for p in signature.of(Source.DEPENDENCY) if p.name not in inputs]
        bound = BoundOperation(
            operation=operation,
            signature=signature,
            name=operation.name,
            status=200,
            media=Media(),
            index=0,
            inline=False,
            deadline=0.0,
            ports=self._ports,
            plans=self._backstage.plans,
        )
        return Call(operation=bound, principal=self.who), {p.name: providers.resolver(p.target) for p in wanted}


def _always(value: Any) -> Resolver:
    return Resolver(make=lambda _scope: value)


class _Opening:
    """Opens a store on entering, and closes it on leaving."""

    def __init__(self, store: Store, tables: tuple[Table, ...], unit: MemoryUnit) -> None:
        self._store = store
        self._tables = tables
        self._unit = unit

    async def __aenter__(self) -> MemoryUnit:
        await self._store.start(self._tables)
        return self._unit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._unit.rollback()
        await self._store.stop()


def memory_unit(
    *parts: type[Entity] | Service,
    who: Principal | None = None,
    store: Store | None = None,
    provide: Mapping[Any, Any] | None = None,
) -> _Opening:
    """Return repositories on memory for one caller, to call use cases with and no server.

    ``parts`` are the entities that the use case touches (those they refer to come along), or a service for all of its
    entities; ``provide`` are further dependencies by type. An asynchronous context manager::

        async with memory_unit(Product, Order, who=as_principal("ann")) as unit:
            await unit.given(Product(sku="TEA", name="Tea", price=Decimal(3), stock=1))
            order = await unit.call(place_order, wanted=PlaceOrder(sku="TEA", quantity=1))
            assert unit.emitted == [OrderPlaced(order_id=order.id, total=order.total)]

    Raises ``StartupFailed`` where an entity is not declared rightly.
    """
    entities = [part for part in parts if not isinstance(part, Service)]
    services = [part for part in parts if isinstance(part, Service)]
    modules = [module for service in services for module in service.modules]
    if entities:
        module = Module("test")
        module.entity(*entities)
        modules.append(module)
    blueprint = draw(Service("test", modules=modules))
    if blueprint.faults:
        raise StartupFailed(blueprint.faults)
    plans = plan_entities(blueprint, scores=True)
    clock = FixedClock()
    recorder = Recorder()
    own = store or MemoryStore()
    ports = Ports(
        store=watched(own, recorder),
        limiter=MemoryLimiter(clock),
        clock=clock,
        ids=SequentialIds(),
        entropy=SeededEntropy(),
        sealer=ClearSealer(),
        observer=recorder,
        cipher=fixed_cipher(),
    )
    ports = protected(ports, plans, blueprint)
    backstage = Backstage(encrypting(own, plans, ports.cipher, recorder), plans, clock, ports.ids, ports.sealer)
    tables = tables_of(plans.values())
    return _Opening(ports.store, tables, MemoryUnit(backstage, ports, who or as_principal(), provide or {}))
