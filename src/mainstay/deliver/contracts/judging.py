"""What is declared against what is kept: breaking changes, versions that are missing, steps that do not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from mainstay.deliver.contracts.compatibility import Change, Compatibility, breaches, compare
from mainstay.deliver.contracts.flows import Flow, Receiver
from mainstay.deliver.contracts.lock import Locked, path_of
from mainstay.deliver.contracts.proving import step_fault
from mainstay.deliver.contracts.rules import Breach, Rule
from mainstay.deliver.contracts.schemas import EventSchema, schema_of, schemas_of
from mainstay.model.blueprint import Blueprint
from mainstay.model.event_versions import upcasters_of, version_of
from mainstay.model.faults import StartupFault
from mainstay.model.operation import Source, source_of
from mainstay.model.structs import Event


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: what must be mended, what may go wrong, and what is to be written into the files."""

    faults: tuple[StartupFault, ...]
    warnings: tuple[StartupFault, ...]
    behind: tuple[
        tuple[EventSchema, Source], ...
    ]  # schemas that are declared and fit, and that the files do not have as they are


_CERTAIN = frozenset({Rule.FIELD_MISSING, Rule.FIELD_REFUSED, Rule.TYPE_CHANGED})
"""Rules whose breach fails every message that a consumer reads, and not some of them only."""


def judge(
    blueprint: Blueprint, flows: list[Flow], locked: Locked | None, compatibility: Compatibility, *, folder: str
) -> Verdict:
    """Compare the events of a service with the schemas that are kept in ``folder``, and with those who read them.

    ``locked`` is None where none are kept: then only those who read an event as a class of their own are looked at.
    """
    found: list[StartupFault] = []
    behind: list[tuple[EventSchema, Source]] = []
    if locked is not None:
        declared = {flow.name: flow.event for flow in flows}
        for schema in schemas_of(flows, blueprint.shapes):
            event = declared[schema.name]
            if event is None:
                continue
            faults = list(_of_event(event, schema, locked, compatibility, folder))
            found.extend(faults)
            if not faults and locked.get((schema.name, schema.version)) != schema:
                behind.append((schema, source_of(event)))
        found.extend(_gone(blueprint, declared, locked, folder))
        found.extend(_steps(blueprint, flows, locked, folder))
    warnings: list[StartupFault] = []
    for breach, fault in _views(blueprint, flows, locked or {}):
        (found if breach.rule in _CERTAIN else warnings).append(fault)
    return Verdict(faults=tuple(found), warnings=tuple(warnings), behind=tuple(behind))


def _views(blueprint: Blueprint, flows: list[Flow], locked: Locked) -> Iterator[tuple[Breach, StartupFault]]:
    """Walk what consumers that read an event as a class of their own cannot read of it, as it is emitted."""
    for flow in flows:
        for receiver in flow.receivers:
            event = receiver.event
            if event is None or event is flow.event:
                continue
            for written in _written(blueprint, flow, receiver, locked):
                read = schema_of(flow.name, event, blueprint.shapes)
                for breach in breaches(read.schema, written.schema):
                    yield breach, _unfit(receiver, event, written, breach)


def _written(blueprint: Blueprint, flow: Flow, receiver: Receiver, locked: Locked) -> Iterator[EventSchema]:
    """Walk the schemas of what a consumer reads as it is: of this service's event, or of another's that is kept."""
    known = [schema for (name, _), schema in sorted(locked.items()) if name == flow.name and flow.event is None]
    own = [] if flow.event is None else [schema_of(flow.name, flow.event, blueprint.shapes)]
    as_it_is = set(receiver.operation.reads)
    if receiver.event is not None:
        as_it_is.add(version_of(receiver.event))
    yield from (schema for schema in (*known, *own) if schema.version in as_it_is)


def _unfit(receiver: Receiver, event: type[Event], written: EventSchema, breach: Breach) -> StartupFault:
    place = f"{event.__name__}{breach.where.replace('/', '.')}"
    why = breach.rule.value.reading.format(**breach.facts)
    message = f"{place} does not fit {written.name} as it is emitted: {why}"
    return StartupFault(source_of(event), receiver.operation.name, message, "declare of it what is emitted, or less")


def _of_event(
    event: type[Event], schema: EventSchema, locked: Locked, compatibility: Compatibility, folder: str
) -> Iterator[StartupFault]:
    """Walk what is wrong with an event as it is declared now."""
    newest = max((version for name, version in locked if name == schema.name), default=0)
    if schema.version < newest:
        hint = f"give it version={newest}, or delete {folder}/{path_of(schema.name, newest)} if nobody has seen it"
        message = f"it has version {schema.version}, and version {newest} is in {folder}"
        yield StartupFault(source_of(event), schema.name, message, hint)
        return
    kept = locked.get((schema.name, schema.version))
    for change in () if kept is None else compare(kept.schema, schema.schema, compatibility):
        yield StartupFault(source_of(event), schema.name, _told(schema, change), _hint(schema, event, change))


def _told(schema: EventSchema, change: Change) -> str:
    return f"version {schema.version} was changed: {change}"


def _hint(schema: EventSchema, event: type[Event], change: Change) -> str:
    module, new = schema.name.partition(".")[0], schema.version + 1
    step = f"@{module}.upcast({event.__name__}, {schema.version})"
    return f"{change.remedy}; or give it version={new}, and {step} for messages of before"


def _gone(
    blueprint: Blueprint, declared: Mapping[str, type[Event] | None], locked: Locked, folder: str
) -> Iterator[StartupFault]:
    """Walk the events that are kept and declared no more."""
    for name in sorted({name for name, _ in locked}):
        if name not in declared:
            message = f"{name} is in {folder}, and no module of this service declares it"
            hint = f"declare it again, or delete {folder}/{name}.*.json once nobody waits for it"
            yield StartupFault(blueprint.service.source, blueprint.service.name, message, hint)


def _steps(blueprint: Blueprint, flows: list[Flow], locked: Locked, folder: str) -> Iterator[StartupFault]:
    """Walk what is wrong with the way from each kept version to what a consumer reads."""
    upcasters = upcasters_of(blueprint.service.modules)
    for flow in flows:
        for event, version in dict.fromkeys(_needed(flow, locked)):
            takers = [r for r in flow.receivers if r.event is event]
            if any(version not in taker.versions for taker in takers):
                names = ", ".join(r.operation.name for r in takers if version not in r.versions)
                message = f"version {version} is in {folder}, and {names} cannot take it: no step begins there"
                file = f"{folder}/{path_of(flow.name, version)}"
                hint = f"declare upcast({event.__name__}, {version}), or delete {file} once no message of it is left"
                yield StartupFault(source_of(event), flow.name, message, hint)
            elif (event, version) in upcasters:
                wrong = step_fault(event, locked[flow.name, version], upcasters, blueprint.shapes)
                step = upcasters[event, version]
                if wrong is not None:
                    yield StartupFault(step.source, f"upcast({event.__name__}, {version})", wrong)


def _needed(flow: Flow, locked: Locked) -> Iterator[tuple[type[Event], int]]:
    for receiver in flow.receivers:
        if receiver.event is not None:
            own = version_of(receiver.event)
            yield from ((receiver.event, v) for name, v in sorted(locked) if name == flow.name and v < own)
