"""Start-up checks of options of entities: the fields that they rest on are what they must be."""

from __future__ import annotations

from mainstay.model.blueprint import Blueprint
from mainstay.model.policy import Policy
from mainstay.model.schema import Shape
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.tenancy import TENANT_KINDS, Tenancy


def check_options(blueprint: Blueprint, entity: type[Entity], shape: Shape) -> None:
    """Note the faults of an entity's options."""
    tenancy = entity.__mainstay_options__.tenancy
    if tenancy is not None:
        for message, hint in _tenancy_faults(tenancy, shape):
            blueprint.fault(entity, f"{entity.__name__} tenant=", message, hint)


def _tenancy_faults(tenancy: Tenancy, shape: Shape) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    attribute, name = shape.by_name.get(tenancy.field), tenancy.field
    if name in STANDARD_FIELDS or attribute is None or attribute.relation is not None:
        return [(f"{name} is no field for a tenant", 'name one of its own: tenant="tenant_id"')]
    if attribute.base not in TENANT_KINDS or attribute.optional or attribute.secret:
        found.append((f"{name} is not of type str or UUID", f"write {name}: str, or leave it out"))
    if attribute.spec.unique:
        found.append((f"{name} is unique: each tenant would have one row", "leave unique= out"))
    if not (attribute.spec.read_only and attribute.spec.immutable):
        found.append((f"{name} is a field of its base, which has no tenant", "say tenant= of the base"))
    across = tenancy.across
    if across is not None and not isinstance(across, Policy):
        found.append((f"across={across!r} is no policy", None))
    elif across is not None and across.looks_at_row:
        found.append((f"across={across!r} looks at rows", "use role(...), scope(...) or check(...)"))
    return found
