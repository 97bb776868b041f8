"""Versions over HTTP: each operation below the prefix of every version that has it, and what is told of those that end.

An operation that a later version does not have, and every operation of a deprecated version, says so in each answer:
Deprecation (RFC 9745), Sunset (RFC 8594), and a Link to what follows it (RFC 5829). A version that has ended is 410,
with the same link; one that never was is 404.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from mainstay.inbound.http.encode import Answers
from mainstay.inbound.http.lifetime import Lifetime, lifetime_lines, lifetime_of, successor_link
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.problems import NoRoute, VersionEnded
from mainstay.inbound.http.routes import Declared, Routes
from mainstay.inbound.http.targets import OperationTarget, Target, location_of
from mainstay.kernel.bound import BoundOperation
from mainstay.model.problem import Problem
from mainstay.model.signature import path_names
from mainstay.model.versions import Version, span_of

Operations = Sequence[BoundOperation]


class _Ending(NamedTuple):
    """What is told of an operation in a version that it, or the version, will not outlive."""

    since: bool | date
    sunset: date | None
    successor: str | None  # a path that may have names in braces


def targets_of(
    operations: Operations, versions: Sequence[Version], options: HttpOptions, answers: Answers
) -> list[Declared[Target]]:
    """Return the routes of operations: as they are, or once for each version that has them and has not ended."""
    if not versions:
        return _plain(operations, options, answers)
    routes: list[Declared[Target]] = []
    for place, version in enumerate(versions):
        if version.ended:
            continue
        own = of_version(operations, versions, place)
        for bound in own:
            location = location_of(bound, own)
            target = OperationTarget(
                bound,
                None if location is None else version.prefix + location,
                options,
                answers,
                lifetime=_lifetime(bound, operations, versions, place),
            )
            routes.append(Declared(bound.operation.method, version.prefix + bound.operation.path, target))
    return routes


def _plain(operations: Operations, options: HttpOptions, answers: Answers) -> list[Declared[Target]]:
    routed = [bound for bound in operations if bound.operation.method]
    return [
        Declared(
            bound.operation.method,
            bound.operation.path,
            OperationTarget(bound, location_of(bound, operations), options, answers),
        )
        for bound in routed
    ]


def of_version(operations: Operations, versions: Sequence[Version], place: int) -> list[BoundOperation]:
    """Return the operations that a version has."""
    return [
        bound
        for bound in operations
        if bound.operation.method and place in span_of(bound.operation.since, bound.operation.until, versions)
    ]


def shown_of(operations: Operations, versions: Sequence[Version], place: int) -> list[BoundOperation]:
    """Return the operations of a version as its contract shows them: below its prefix, those that end as deprecated."""
    shown = []
    for bound in of_version(operations, versions, place):
        ending = ending_of(bound, operations, versions, place)
        operation = msgspec.structs.replace(
            bound.operation,
            path=versions[place].prefix + bound.operation.path,
            deprecated=bound.operation.deprecated or ending is not None,
        )
        shown.append(msgspec.structs.replace(bound, operation=operation))
    return shown


def _lifetime(
    bound: BoundOperation, operations: Operations, versions: Sequence[Version], place: int
) -> Lifetime | None:
    """Return what is told of an operation in one version: what its team says, else what follows from the versions."""
    declared = lifetime_of(bound.operation)
    if declared is not None:
        return declared
    ending = ending_of(bound, operations, versions, place)
    if ending is None:
        return None
    return Lifetime(lifetime_lines(ending.since, ending.sunset), ending.successor)


def ending_of(bound: BoundOperation, operations: Operations, versions: Sequence[Version], place: int) -> _Ending | None:
    """Return since when and until when an operation is in a version, and what follows; None where it goes on."""
    version, operation = versions[place], bound.operation
    span = span_of(operation.since, operation.until, versions)
    ends = span.stop < len(versions)
    if not ends and not version.deprecated:
        return None
    later = range(span.stop, len(versions)) if ends else range(place + 1, len(versions))
    successor = None
    for after in later:
        found = [one for one in of_version(operations, versions, after) if one.operation.name == operation.name]
        known = path_names(operation.path)
        if found and set(path_names(found[0].operation.path)) <= set(known):
            successor = versions[after].prefix + found[0].operation.path
            break
    return _Ending(version.deprecated or True, version.sunset, successor)


class Missing:
    """Says why there is nothing at a path, in a service with versions."""

    def __init__(self, versions: Sequence[Version]) -> None:
        live = [one for one in versions if not one.ended]
        self._ended: Mapping[str, Version] = {one.prefix: one for one in versions if one.ended}
        self._live = tuple(one.prefix for one in live)
        self._hint = f"paths begin with {' or '.join(self._live)}"

    def problem(self, path: bytes, root: str, routes: Routes[Target]) -> Problem:
        """Return the problem of a path that has no route."""
        first = b"/" + path[1:].partition(b"/")[0]
        ended = self._ended.get(first.decode("latin-1"))
        if ended is None:
            served = first.decode("latin-1") in self._live
            return NoRoute() if served else NoRoute(f"there is nothing here: {self._hint}")
        rest = path[len(first) :]
        next_ = next((prefix for prefix in self._live if routes.allowed(prefix.encode() + rest)), None)
        successor = f"{self._live[0]}/openapi.json" if next_ is None else next_ + rest.decode("latin-1")
        return VersionEnded(
            f"version {ended.name} has ended: {self._hint}",
            headers={"Link": successor_link(root + successor)},
        )
