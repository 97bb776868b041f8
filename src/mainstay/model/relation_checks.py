"""Start-up checks of relations: the fields that their rows are found by are there, and refer to what they must."""

from __future__ import annotations

from typing import Any

from mainstay.model.blueprint import Blueprint, resolve_shape
from mainstay.model.schema import Attribute, FieldKind


def check_relation(blueprint: Blueprint, entity: Any, attribute: Attribute) -> None:
    """Note what is wrong with one relation of an entity."""
    relation, target = attribute.relation, attribute.base
    assert relation is not None  # it is one of the shape's relations
    place = f"{entity.__name__}.{attribute.name}"
    if attribute.kind is FieldKind.ONE:
        _check_field(blueprint, (entity, place), entity, relation.key, target)
    elif relation.through is None:
        shape = resolve_shape(blueprint, target)
        if shape is not None and relation.key not in shape.by_name:
            blueprint.fault(entity, place, f"{shape.name} has no field {relation.key}")
    else:
        _check_field(blueprint, (entity, place), relation.through, relation.key, entity)
        _check_field(blueprint, (entity, place), relation.through, relation.to, target)


def _check_field(blueprint: Blueprint, source: tuple[Any, str], holder: Any, field: str, target: Any) -> None:
    """Note where a field is not there, or does not refer to the entity that it must."""
    shape = resolve_shape(blueprint, holder)
    if shape is None:
        return
    if field not in shape.by_name:
        blueprint.fault(*source, f"{shape.name} has no field {field}")
        return
    found = blueprint.references.get((holder, field))
    if found is None or not issubclass(target, found):
        hint = f"declare it with field(references={target.__name__})"
        blueprint.fault(*source, f"{shape.name}.{field} does not refer to {target.__name__}", hint)
