"""Options of entities: what ``class Order(Entity, tenant="tenant_id")`` says, and the fields that it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.fields import MISSING, FieldSpec, Relation
from mainstay.model.personal import Person, named
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.tenancy import TENANT_LENGTH, Tenancy
from mainstay.model.values import UNASSIGNED


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an entity is besides its fields. A class has those of its base, unless it says otherwise.

    ``soft_delete``: a deleted row is kept, and left out of everything. ``audit``: each change is written down.
    ``append_only``: rows are added and read; none is changed or deleted.
    ``person``: whose the rows are, and what becomes of them when that person is erased.
    """

    tenancy: Tenancy | None = None
    soft_delete: bool = False
    audit: bool = False
    append_only: bool = False
    person: Person | None = None


def options_of(
    bases: Sequence[type],
    *,
    tenant: str | Tenancy | None,
    soft_delete: bool | None,
    audit: bool | None,
    append_only: bool | None,
    person: str | Person | None,
) -> Options:
    """Return the options of a class: its own words, else those of its base."""
    found = (getattr(base, "__mainstay_options__", None) for base in bases)
    inherited: Options = next((options for options in found if options is not None), Options())
    said: dict[str, Any] = {}
    if tenant is not None:
        if not isinstance(tenant, str | Tenancy):
            raise TypeError(f'tenant={tenant!r}: it names a field, or is tenancy("field", across=...)')
        said["tenancy"] = Tenancy(tenant) if isinstance(tenant, str) else tenant
    if soft_delete is not None:
        said["soft_delete"] = soft_delete
    if audit is not None:
        said["audit"] = audit
    if append_only is not None:
        said["append_only"] = append_only
    if person is not None:
        said["person"] = named(person)
    return msgspec.structs.replace(inherited, **said)


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
    wanted: list[tuple[str, Any, Callable[[FieldSpec, Any], dict[str, Any]]]] = []
    if options.tenancy is not None:
        wanted.append((options.tenancy.field, str, _of_tenant))
    if options.soft_delete:
        wanted.append((DELETED_AT, datetime | None, _of_deletion))
    for name, kind, meaning in wanted:
        if name in known:
            continue
        given = namespace.get(name, MISSING)
        resolved = resolve(annotations.setdefault(name, kind))
        if not isinstance(given, Relation):
            spec = given if isinstance(given, FieldSpec) else FieldSpec(default=given)
            # The repository sets it: it never comes from a body, and no change names it.
            namespace[name] = msgspec.structs.replace(spec, read_only=True, immutable=True, **meaning(spec, resolved))


def _of_tenant(spec: FieldSpec, kind: Any) -> dict[str, Any]:
    changes: dict[str, Any] = {"index": not spec.unique}
    if spec.required:
        changes["default"] = UNASSIGNED if kind is UUID else ""
    if kind is str and spec.max_length is None:
        changes["max_length"] = TENANT_LENGTH
    return changes


def _of_deletion(spec: FieldSpec, kind: Any) -> dict[str, Any]:  # noqa: ARG001 - one form for all options
    return {"default": None} if spec.required else {}
