"""Options of entities: what ``class Order(Entity, tenant="tenant_id")`` says, and the fields that it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.fields import MISSING, FieldSpec, Relation
from mainstay.model.tenancy import TENANT_LENGTH, Tenancy
from mainstay.model.values import UNASSIGNED


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an entity is besides its fields. A class has those of its base, unless it says otherwise."""

    tenancy: Tenancy | None = None


def options_of(inherited: Options, *, tenant: str | Tenancy | None) -> Options:
    """Return the options of a class: its own words, else those of its base."""
    if tenant is None:
        return inherited
    if not isinstance(tenant, str | Tenancy):
        raise TypeError(f'tenant={tenant!r}: it names a field, or is tenancy("field", across=...)')
    return Options(tenancy=Tenancy(tenant) if isinstance(tenant, str) else tenant)


def complete(
    options: Options,
    known: Mapping[str, FieldSpec],
    namespace: dict[str, Any],
    annotations: dict[str, Any],
    resolve: Callable[[Any], Any],
) -> None:
    """Add the fields that options need to a class body, or say of those that it declares what the options mean.

    ``known`` are the fields of its bases. What does not fit is told at start-up, with its line.
    """
    if options.tenancy is not None and options.tenancy.field not in known:
        name = options.tenancy.field
        kind, given = resolve(annotations.setdefault(name, str)), namespace.get(name, MISSING)
        if not isinstance(given, Relation):
            namespace[name] = _tenant_spec(given, kind)


def _tenant_spec(given: Any, kind: Any) -> FieldSpec:
    """A tenant is set once, by the repository, from the caller: never from a body, and never by a change."""
    spec = given if isinstance(given, FieldSpec) else FieldSpec(default=given)
    changes: dict[str, Any] = {"read_only": True, "immutable": True, "index": not spec.unique}
    if spec.required:
        changes["default"] = UNASSIGNED if kind is UUID else ""
    if kind is str and spec.max_length is None:
        changes["max_length"] = TENANT_LENGTH
    return msgspec.structs.replace(spec, **changes)
