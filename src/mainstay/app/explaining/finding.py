"""Finding an operation by its name, or by a method and a path as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from mainstay.app.refusal import Refusal
from mainstay.inbound.http.versions import of_version
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation


class Named(msgspec.Struct, frozen=True):
    """An operation, with what its name says of the input: the values in the path's braces, and the query string."""

    operation: BoundOperation
    arguments: Mapping[str, str] = {}
    query: Sequence[tuple[str, str]] = ()


def find_operation(bound: Bound, name: str) -> Named:
    """Return the operation that is named ``place_order``, or ``GET /orders/0199...?fields=id``. Raises ``Refusal``."""
    method, space, target = name.partition(" ")
    if space and target.startswith("/"):
        served, path = _of_version(bound, target)
        found = [each for each in (_routed(one, method, path) for one in served) if each is not None]
        if found:
            return min(found, key=lambda each: len(each.arguments))  # the route with fewer braces goes first
        raise Refusal(f"no operation answers {name}", "mainstay routes lists them")
    for one in bound.operations:
        if name in (one.name, f"{one.operation.module}.{one.name}"):
            return Named(one)
    close = get_close_matches(name, [one.name for one in bound.operations], n=3, cutoff=0.4)
    said = f"did you mean {' or '.join(close)}?" if close else "mainstay routes lists them"
    raise Refusal(f"there is no operation named {name}", said)


def _of_version(bound: Bound, target: str) -> tuple[Sequence[BoundOperation], str]:
    """Return the operations of the version that a path names, and the path below its prefix."""
    versions = bound.service.versions
    for place, version in enumerate(versions):
        if target.startswith(f"{version.prefix}/"):
            return of_version(bound.operations, versions, place), target.removeprefix(version.prefix)
    return bound.operations, target


def _routed(one: BoundOperation, method: str, target: str) -> Named | None:
    parts: Any = urlsplit(target)
    route, asked = one.operation.path.split("/"), parts.path.split("/")
    if one.operation.method != method.upper() or len(route) != len(asked):
        return None
    arguments: dict[str, str] = {}
    for own, given in zip(route, asked, strict=True):
        if own.startswith("{"):
            arguments[own[1:-1]] = unquote(given)
        elif own != given:
            return None
    return Named(one, arguments, parse_qsl(parts.query, keep_blank_values=True))
