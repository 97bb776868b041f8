"""Start-up checks of versions: those of the service, and the ranges that its operations name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from mainstay.model.blueprint import Blueprint
from mainstay.model.operation import moment_of
from mainstay.model.versions import Version

_NAME = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}")


def check_versions(blueprint: Blueprint) -> None:
    """Note the faults of a service's versions, and of the ranges of its operations and resources."""
    service = blueprint.service
    for message in _service_faults(service.versions):
        blueprint.fault(service.source, service.name, f"versions=: {message}")
    for planned in blueprint.planned:
        operation = planned.operation
        _check_range(blueprint, operation, operation.name)
    for _, resource in blueprint.resources:
        _check_range(blueprint, resource, f"resource {resource.path}")


def _service_faults(versions: tuple[Version, ...]) -> Iterator[str]:
    names = [one.name for one in versions]
    for name in dict.fromkeys(names):
        if _NAME.fullmatch(name) is None:
            yield f'"{name}" is no version: it begins with a digit and is part of a path, for example "1" for /v1'
        if names.count(name) > 1:
            yield f'"{name}" is named twice'
    if versions and all(one.ended for one in versions):
        yield "all have ended: nothing would be served"
    live = False
    for one in versions:
        if one.ended and live:
            yield f'"{one.name}" has ended, and an older one has not: the oldest stands first'
        live |= not one.ended
        yield from _dates(one)


def _dates(version: Version) -> Iterator[str]:
    days = [day for day in (version.deprecated, version.sunset) if isinstance(day, date)]
    if version.sunset is not None and not version.deprecated:
        yield f'"{version.name}": sunset= is for what is deprecated=: say since when'
    if any(isinstance(day, datetime) and day.tzinfo is None for day in days):
        yield f'"{version.name}": a time has a zone'
    elif len(days) == 2 and moment_of(days[1]) < moment_of(days[0]):
        yield f'"{version.name}": sunset= is before deprecated='


def _check_range(blueprint: Blueprint, declared: Any, subject: str) -> None:
    """Note what is wrong with ``since`` and ``until`` of an operation or a resource."""
    versions = blueprint.service.versions
    names = [one.name for one in versions]
    given = {"since": declared.since, "until": declared.until}
    unknown = [f'{key}="{name}"' for key, name in given.items() if name is not None and name not in names]
    if unknown:
        known = (
            f"known are {', '.join(names)}" if names else 'the service names none: Service(..., versions=["1", "2"])'
        )
        blueprint.fault(declared.source, subject, f"{', '.join(unknown)} is no version of the service", known)
        return
    if declared.since is None or declared.until is None:
        first = last = None
    else:
        first, last = names.index(declared.since), names.index(declared.until)
    if first is not None and last is not None and last < first:
        message = f'until="{declared.until}" is before since="{declared.since}"'
        blueprint.fault(declared.source, subject, message)
    elif versions and declared.until is not None and versions[names.index(declared.until)].ended:
        message = f'until="{declared.until}" has ended: nothing serves it'
        blueprint.fault(declared.source, subject, message, "take the declaration away, or let the version go on")
