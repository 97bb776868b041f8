"""Binding: a blueprint and the adapters become operations that run. Nothing is looked up after this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from mainstay.kernel.ask import Directory, LocalAsk
from mainstay.kernel.bound import BoundOperation, Ports, Stage
from mainstay.kernel.callers import bind_caller
from mainstay.kernel.flow.bell import Bell
from mainstay.kernel.flow.inbox import After, Before, bind_inbox, bind_late_inbox, bind_lateness
from mainstay.kernel.flow.outbox import Outbox, bind_outbox
from mainstay.kernel.flow.payloads import bind_payloads
from mainstay.kernel.flow.receipts import bind_late_receipts, bind_receipts, takes_once
from mainstay.kernel.flow.upcasting import bind_upcasting
from mainstay.kernel.guard.notes import keeping_notes, note_refusals
from mainstay.kernel.guard.once import once
from mainstay.kernel.guard.signed import signature_stage
from mainstay.kernel.invoke import Plan, bind_invoke
from mainstay.kernel.plans import plan_entities
from mainstay.kernel.protect import protected
from mainstay.kernel.providers import Providers, Resolver, Unresolved, port_resolvers
from mainstay.kernel.reach import hands_out, reaches_loop, reads_once
from mainstay.kernel.render import bind_render
from mainstay.kernel.render.cached import with_facts
from mainstay.kernel.render.naming import in_camel_case
from mainstay.kernel.resource import plan_resource
from mainstay.kernel.stages import head_stages, read
from mainstay.kernel.validate import DEFAULTS, InputLimits, bind_validation, media_of
from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.checks import check_service
from mainstay.model.faults import StartupFault
from mainstay.model.limits import Limit
from mainstay.model.operation import Operation, OperationKind, Signed
from mainstay.model.policy import anyone, prepare
from mainstay.model.schema import Shape
from mainstay.model.service import Service
from mainstay.model.signature import Source
from mainstay.model.structs import Entity
from mainstay.model.versions import labels
from mainstay.ports.ask import Ask
from mainstay.ports.encryption import tables_of
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityRecord
from mainstay.ports.store import Table
from mainstay.ports.unit_of_work import EntityPlan

DEADLINE = 30.0  # seconds, of an operation that names none


class Bound(msgspec.Struct, kw_only=True, eq=False):
    """A service, ready to run: its operations, what delivers its events, and what must be started before it."""

    service: Service
    blueprint: Blueprint
    operations: list[BoundOperation]
    consumers: dict[str, list[BoundOperation]]
    plans: Mapping[type[Entity], EntityPlan]
    tables: tuple[Table, ...]
    providers: Providers
    faults: list[StartupFault]
    ports: Ports
    bell: Bell
    outbox: Outbox


def bind(
    service: Service,
    ports: Ports,
    *,
    known: Mapping[Any, Resolver] | None = None,
    secrets: Mapping[str, Any] | None = None,
    limits: tuple[Limit, ...] = (),
    inputs: InputLimits = DEFAULTS,
) -> Bound:
    """Bind a service to its adapters. The result carries all start-up faults: with any, it must not be run.

    ``known`` are further dependencies by type; ``secrets`` those that ``allow=signed(...)`` names;
    ``inputs`` bound what is looked at of a call's input.
    """
    blueprint = check_service(service)
    plans = plan_entities(blueprint)
    ports = protected(ports, plans, blueprint)
    directory = Directory()
    asked = Resolver(make=lambda scope: LocalAsk(directory, scope), tasks=True)
    providers = Providers(service.provisions, {**port_resolvers(ports), **(known or {}), Ask: asked}, plans)
    named = {} if secrets is None else secrets  # one that makes up what it is asked for may be empty
    binder = _Binder(blueprint, ports, plans, providers, named, (*service.limits, *limits), inputs)
    operations, consumers = _bind_all(blueprint, binder, directory)
    _note_provisions(blueprint, providers)
    return Bound(
        service=service,
        blueprint=blueprint,
        operations=operations,
        consumers=consumers,
        plans=plans,
        tables=tables_of(plans.values()),
        providers=providers,
        faults=blueprint.faults,
        ports=ports,
        bell=binder.bell,
        outbox=binder.outbox,
    )


def _bind_all(
    blueprint: Blueprint, binder: _Binder, directory: Directory
) -> tuple[list[BoundOperation], dict[str, list[BoundOperation]]]:
    """Return all operations, and those of them that consume an event, by its name."""
    operations: list[BoundOperation] = []
    consumers: dict[str, list[BoundOperation]] = {}
    everything = _all_planned(blueprint)
    names = labels([planned.operation for planned in everything], blueprint.service.versions)
    for planned, name in zip(everything, names, strict=True):
        bound = binder.bind(planned, len(operations), name)
        if planned.operation.kind is OperationKind.CONSUMER:
            consumers.setdefault(_event_name(blueprint, planned.operation), []).append(bound)
        operations.append(bound)
        directory.add(bound)
    return operations, consumers


def _note_provisions(blueprint: Blueprint, providers: Providers) -> None:
    for provision, message in providers.faults():
        blueprint.fault(provision.source, f"provide({getattr(provision.type, '__name__', provision.type)})", message)


def _all_planned(blueprint: Blueprint) -> list[Planned]:
    planned = []
    for module, resource in blueprint.resources:
        try:
            shape: Shape = blueprint.shapes.of(resource.entity)
        except (NameError, TypeError):
            continue  # noted where the blueprint was drawn
        if not blueprint.faults:  # a policy that has a fault cannot be prepared
            planned.extend(plan_resource(module, resource, shape))
    return [*planned, *blueprint.planned]


def _event_name(blueprint: Blueprint, operation: Operation) -> str:
    event = operation.event
    return event if isinstance(event, str) else blueprint.event_names.get(event, "")


class _Binder:
    """Binds one operation after another."""

    def __init__(
        self,
        blueprint: Blueprint,
        ports: Ports,
        plans: Mapping[type[Entity], EntityPlan],
        providers: Providers,
        secrets: Mapping[str, Any],
        limits: tuple[Limit, ...],
        inputs: InputLimits,
    ) -> None:
        self._blueprint = blueprint
        self._ports = ports
        self._plans = plans
        self._providers = providers
        self._secrets = secrets
        self._limits = limits
        self._inputs = inputs
        self._caller = bind_caller(blueprint, ports, providers, plans)
        self._loads = blueprint.service.attribute_source is not None
        most = None if ports.broker is None else ports.broker.traits.max_bytes
        payloads = bind_payloads(blueprint, inputs)
        self.outbox = bind_outbox(blueprint.event_names, payloads, ports.ids, ports.clock, max_bytes=most)
        self._inbox = bind_inbox(ports)
        self._late_inbox = bind_late_inbox(ports)
        self._refused = note_refusals(ports) if SecurityRecord in plans else None
        self.bell = Bell()

    def bind(self, planned: Planned, index: int, name: str) -> BoundOperation:
        operation, signature = planned.operation, planned.signature
        resolvers = self._resolvers(planned)
        self._keep(planned, resolvers)
        bound = BoundOperation(
            operation=operation,
            signature=signature,
            name=name,
            status=operation.status,
            media=media_of(signature),
            index=index,
            inline=not self._loads and self._ends_at_once(planned, resolvers),
            deadline=operation.deadline or DEADLINE,
            ports=self._ports,
            plans=self._plans,
        )
        self._judge(bound, planned)
        render = bind_render(planned, self._plans, self._blueprint)
        before, after = self._marks(operation, resolvers)
        bound.invoke = bind_invoke(
            Plan(
                bound=bound,
                render=render if operation.cache is None else with_facts(render, signature),
                resolvers=resolvers,
                outbox=self.outbox,
                bell=self.bell,
                single=reads_once(operation.function),
                repeatable=not operation.external,
                before=before,
                after=after,
                in_time=self._in_time(operation),
            )
        )
        bound.direct = operation.kind is OperationKind.CONSUMER and after is None
        bound.refused = self._refused
        if any(r.notes for r in resolvers.values()):
            bound.invoke = keeping_notes(bound.invoke)
        if self._blueprint.service.case == "camel":
            bound.invoke = in_camel_case(bound.invoke)
        return bound

    def _ends_at_once(self, planned: Planned, resolvers: Mapping[str, Resolver]) -> bool:
        """Whether an operation is likely to end without waiting."""
        operation = planned.operation
        return (
            not planned.signature.of(Source.UPLOAD)  # files are let go of at the end of the call's task
            and not any(r.outside or r.tasks or r.make is None for r in resolvers.values())
            and not reaches_loop(operation.function)
            and (self._ports.store.capabilities.inline or not _may_touch_store(operation, resolvers))
        )

    def _marks(self, operation: Operation, resolvers: Mapping[str, Resolver]) -> tuple[Before | None, After | None]:
        """Return what marks a message as taken, before the use case runs or, where it reaches outside, behind it."""
        outside = any(r.outside for r in resolvers.values())
        if operation.kind is OperationKind.CONSUMER:
            return self._late_inbox if outside else (self._inbox, None)
        if takes_once(operation):
            return bind_late_receipts(self._ports) if outside else (bind_receipts(self._ports), None)
        return None, None

    def _in_time(self, operation: Operation) -> Before | None:
        if operation.kind is not OperationKind.CONSUMER:
            return None
        return bind_lateness(self._ports, latest_only=operation.latest_only)

    def _resolvers(self, planned: Planned) -> dict[str, Resolver]:
        operation = planned.operation
        resolvers: dict[str, Resolver] = {}
        for parameter in planned.signature.of(Source.DEPENDENCY):
            try:
                resolvers[parameter.name] = self._providers.resolver(parameter.target)
            except Unresolved as unresolved:
                message = f"parameter {parameter.name}: {unresolved}"
                self._blueprint.fault(operation.source, operation.name, message)
        self._check_reach(operation, resolvers)
        return resolvers

    def _keep(self, planned: Planned, resolvers: dict[str, Resolver]) -> None:
        """Have the rows of a page kept as the store gives them, where nobody looks at them before the answer does."""
        operation = planned.operation
        kind, shown = planned.signature.answer
        if kind != "page" or operation.kind is not OperationKind.QUERY or operation.cache is not None:
            return
        name, plan = hands_out(operation.function), self._plans.get(shown)
        target = next((p.target for p in planned.signature.of(Source.DEPENDENCY) if p.name == name), None)
        if name in resolvers and plan is not None and get_origin(target) is Repository and get_args(target) == (shown,):
            resolvers[name] = Resolver(make=lambda scope: Repository(scope.unit, plan, keeps=True))

    def _check_reach(self, operation: Operation, resolvers: Mapping[str, Resolver]) -> None:
        for name, resolver in resolvers.items():
            if resolver.outside and operation.kind is not OperationKind.QUERY and not operation.external:
                if operation.kind is OperationKind.CONSUMER:
                    continue  # its effects outside are at least once, and said to be
                self._blueprint.fault(
                    operation.source,
                    operation.name,
                    f"parameter {name} reaches outside the service's database, and a command may be run again",
                    "declare the command external=True, or the provision outside=False, or do it in a consumer",
                )
            if resolver.writes and operation.kind is OperationKind.QUERY:
                message = f"parameter {name} changes things, and a query does not"
                self._blueprint.fault(operation.source, operation.name, message, "make it a command")

    def _judge(self, bound: BoundOperation, planned: Planned) -> None:
        """Give an operation its stages."""
        operation = planned.operation
        validate = bind_validation(planned, self._plans, self._blueprint, self._inputs)
        if operation.kind is OperationKind.CONSUMER:
            upcasting = bind_upcasting(planned, self._blueprint)
            bound.stages = tuple(stage for stage in (self._caller, upcasting, validate) if stage is not None)
            return
        policy = operation.allow if operation.allow is not None else anyone
        identity = self._blueprint.service.identity
        if identity is not None and not self._blueprint.faults:
            policy = identity.narrowed(policy)
        if not self._blueprint.faults:
            shape = None if operation.resource is None else self._blueprint.shapes.of(operation.resource.entity)
            policy = prepare(policy) if shape is None else prepare(policy, shape.types)
        head = head_stages(self._ports, policy, self._limits, operation.limits, operation.name, self._caller)
        bound.judging, bound.authorise = head.judging, head.authorise
        bound.stages = (*head.stages, *self._behind(planned, validate))

    def _behind(self, planned: Planned, validate: Stage | None) -> Iterator[Stage]:
        """Walk the stages behind those that need no body."""
        operation = planned.operation
        if planned.signature.body is not None or planned.signature.of(Source.MEMBER):
            yield read()
        if isinstance(operation.allow, Signed):
            yield signature_stage(operation, self._secrets, self._ports, self._blueprint)
        if validate is not None:
            yield validate
        if operation.kind is OperationKind.COMMAND and operation.idempotency != "none":
            yield once(self._ports, required=operation.idempotency == "required")


def _may_touch_store(operation: Operation, resolvers: Mapping[str, Resolver]) -> bool:
    """Whether a call may wait for the store: for a dependency's rows, its idempotency record, or its receipt."""
    keyed = operation.kind is OperationKind.COMMAND and operation.idempotency != "none"
    return bool(resolvers) or keyed or takes_once(operation)
