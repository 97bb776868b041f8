"""Start-up checks of ``cache=``: what caches that serve many callers may keep is the same for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.caching import Caching
from mainstay.model.operation import Source
from mainstay.model.policy import Anyone
from mainstay.model.principal import Principal
from mainstay.model.resource import Resource
from mainstay.model.signature import Source as From
from mainstay.model.structs import Entity

_NAMED = (From.PATH, From.QUERY)


def check_caching(blueprint: Blueprint) -> None:
    """Note the faults of all ``cache=``."""
    for planned in blueprint.planned:
        if planned.operation.cache is not None:
            _check_operation(blueprint, planned)
    for _, resource in blueprint.resources:
        if resource.cache is not None:
            _check_resource(blueprint, resource)


def _check_operation(blueprint: Blueprint, planned: Planned) -> None:
    operation, signature = planned.operation, planned.signature
    caching: Any = operation.cache
    place = operation.source, operation.name
    if not isinstance(caching, Caching):
        blueprint.fault(*place, f"cache={caching!r}: write cache(60), in seconds")
        return
    if signature.answer[0] == "stream":
        blueprint.fault(*place, "cache=: a stream is not kept")
    known = {parameter.name for parameter in signature.of(*_NAMED)}
    unknown = [name for name in caching.key_names() if name not in known]
    if unknown:
        message = f"cache=: {unknown[0]} stands in a key, and is no parameter of the path or the query"
        blueprint.fault(*place, message)
    if not caching.is_shared:
        return
    types = [signature.returns, *(parameter.type for parameter in signature.of(From.DEPENDENCY))]
    _check_shared(blueprint, place, operation.allow, types)
    if any(parameter.target is Principal for parameter in signature.parameters):
        _refuse(blueprint, place, "it looks at who calls (Principal)")


def _check_resource(blueprint: Blueprint, resource: Resource) -> None:
    caching: Any = resource.cache
    place = resource.source, f"resource {resource.path}"
    if not isinstance(caching, Caching):
        blueprint.fault(*place, f"cache={caching!r}: write cache(60), in seconds")
    elif resource.read is None:
        blueprint.fault(*place, "cache= is for what is read, and nobody may read it")
    elif caching.key_names():
        blueprint.fault(*place, f"cache=: a resource has no parameter {caching.key_names()[0]} for a key")
    elif caching.is_shared:
        _check_shared(blueprint, place, resource.read, [resource.entity])


def _check_shared(blueprint: Blueprint, place: tuple[Source, str], allow: Any, types: Iterable[Any]) -> None:
    if not isinstance(allow, Anyone):
        _refuse(blueprint, place, f"not everybody may have it (allow={allow!r})")
    for reason in dict.fromkeys(_depending(blueprint, types, set())):
        _refuse(blueprint, place, reason)


def _refuse(blueprint: Blueprint, place: tuple[Source, str], reason: str) -> None:
    hint = "leave shared= and cdn= out: the caller's own cache may keep it"
    blueprint.fault(*place, f"cache= is shared, and the answer depends on the caller: {reason}", hint)


def _depending(blueprint: Blueprint, types: Iterable[Any], seen: set[Any]) -> Iterator[str]:
    """Walk the reasons why values of types are not the same for every caller: policies on rows and on fields."""
    for type_ in types:
        yield from _depending(blueprint, get_args(type_), seen)
        if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)) or type_ in seen:
            continue
        seen.add(type_)
        if issubclass(type_, Entity) and type_.__mainstay_rows__ is not None:
            yield f"{type_.__name__} has a policy on rows"
        if issubclass(type_, Entity) and type_.__mainstay_options__.tenancy is not None:
            yield f"{type_.__name__} belongs to tenants"
        try:
            shape = blueprint.shapes.of(type_)
        except (NameError, TypeError):
            continue  # noted where the blueprint was drawn
        for attribute in (*shape.attributes, *shape.relations):
            if attribute.spec.read is not None:
                yield f"{type_.__name__}.{attribute.name} has a policy for reading"
            between = [] if attribute.relation is None else [attribute.relation.through]
            yield from _depending(blueprint, [attribute.base, attribute.type, *between], seen)
