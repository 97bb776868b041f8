"""Start-up checks of options of entities: the fields that they rest on are what they must be."""

from __future__ import annotations

from mainstay.model.blueprint import Blueprint
from mainstay.model.policy import Policy
from mainstay.model.schema import FieldKind, Shape
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.tenancy import TENANT_KINDS, Tenancy


def check_options(blueprint: Blueprint, entity: type[Entity], shape: Shape) -> None:
    """Note the faults of an entity's options."""
    tenancy = entity.__mainstay_options__.tenancy
    if tenancy is not None:
        for message, hint in _tenancy_faults(tenancy, shape):
            blueprint.fault(entity, f"{entity.__name__} tenant=", message, hint)
    if entity.__mainstay_options__.soft_delete:
        for message, hint in _deletion_faults(shape):
            blueprint.fault(entity, f"{entity.__name__} soft_delete=", message, hint)
    if entity.__mainstay_options__.append_only:
        _check_append_only(blueprint, entity)
    _check_followers(blueprint, entity)


def _check_append_only(blueprint: Blueprint, entity: type[Entity]) -> None:
    """Nothing changes or deletes the rows of an entity that are only added: no resource, no reference, no mark."""
    name = f"{entity.__name__} append_only="
    if entity.__mainstay_options__.soft_delete:
        blueprint.fault(
            entity, name, "soft_delete= marks rows as deleted, and no row is changed", "leave one of them out"
        )
    for source, field in blueprint.references:
        if source is entity and entity.__mainstay_fields__[field].on_delete != "restrict":
            message = (
                f'{field}: on_delete="{entity.__mainstay_fields__[field].on_delete}" would change or delete its rows'
            )
            blueprint.fault(entity, name, message, 'say on_delete="restrict", or keep the id without references=')
    for _, resource in blueprint.resources:
        if resource.entity is entity and (resource.update is not None or resource.delete is not None):
            message = f"the resource {resource.path} has update= or delete="
            blueprint.fault(resource.source, name, message, "its rows are added and read: create= and read=")


def _check_followers(blueprint: Blueprint, entity: type[Entity]) -> None:
    """What is deleted along with a row that is kept has to be kept too, or it could not be brought back with it.

    What a database changes by itself, following a delete, is in no audit.
    """
    for (source, field), target in blueprint.references.items():
        if source is not entity:
            continue
        on_delete = source.__mainstay_fields__[field].on_delete
        kept, own = target.__mainstay_options__.soft_delete, source.__mainstay_options__
        if own.audit and on_delete != "restrict" and not kept:
            message = f'on_delete="{on_delete}", and a delete of a {target.__name__} would change it past its audit'
            hint = f'say soft_delete=True of {target.__name__}, or on_delete="restrict"'
            blueprint.fault(entity, f"{entity.__name__}.{field}", message, hint)
        if on_delete == "cascade" and kept and not own.soft_delete:
            message = f'on_delete="cascade", and deleted rows of {target.__name__} are kept'
            hint = f'say soft_delete=True of {source.__name__} too, or on_delete="restrict" or "null"'
            blueprint.fault(entity, f"{entity.__name__}.{field}", message, hint)


def _deletion_faults(shape: Shape) -> list[tuple[str, str | None]]:
    attribute = shape.by_name.get(DELETED_AT)
    if attribute is None or attribute.relation is not None or attribute.kind is not FieldKind.DATETIME:
        return [(f"{DELETED_AT} says when a row was deleted", f"write {DELETED_AT}: datetime | None, or leave it out")]
    found: list[tuple[str, str | None]] = []
    if not attribute.optional or attribute.spec.default is not None:
        found.append((f"{DELETED_AT} is null in a row that is not deleted", f"write {DELETED_AT}: datetime | None"))
    if not (attribute.spec.read_only and attribute.spec.immutable):
        found.append(
            (f"{DELETED_AT} is a field of its base, which is deleted for good", "say soft_delete= of the base")
        )
    return found


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
