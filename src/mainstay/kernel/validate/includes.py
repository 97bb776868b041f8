"""The relations that a caller may ask for: by their names on the wire, with the fields that they rest on.

Whoever is shown which rows belong together is shown the field that says so. Where that is hidden there is no such
relation; where it is masked, there is none for those whom its policy does not let.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mainstay.model.inputs import MAX_DEPTH
from mainstay.model.naming import wire_names
from mainstay.model.policy import Policy
from mainstay.model.schema import Attribute, FieldKind, Shape, Shapes
from mainstay.model.service import Case

Prepare = Callable[[Policy, Mapping[str, Any]], Policy]


class Include(NamedTuple):
    """A path of relations, and the policies under which the fields that it rests on may be read."""

    path: str
    policies: tuple[Policy, ...] = ()


def keys_of(shape: Shape, relation: Attribute, shapes: Shapes) -> Iterator[tuple[Shape, Attribute]]:
    """Give the fields that a relation of a shape rests on, each with the shape that has it."""
    found = relation.relation
    assert found is not None  # it is one of the shape's relations
    if relation.kind is FieldKind.ONE:
        holder, names = shape, [found.key]
    elif found.through is None:
        holder, names = shapes.of(relation.base), [found.key]
    else:
        holder, names = shapes.of(found.through), [found.key, found.to]
    for name in names:
        yield holder, holder.by_name[name]


def relations_of(
    entity: Any, shapes: Shapes, case: Case, prepare: Prepare, depth: int = MAX_DEPTH
) -> dict[str, Include]:
    """Return the paths of relations that may be included, by their names on the wire."""
    shape, names = shapes.of(entity), wire_names(entity, case)
    found: dict[str, Include] = {}
    for relation in shape.relations:
        keys = list(keys_of(shape, relation, shapes))
        if any(key.hidden for _, key in keys):
            continue
        told = names[relation.name]
        policies = tuple(prepare(key.spec.read, of.types) for of, key in keys if key.spec.read is not None)
        found[told] = Include(relation.name, policies)
        if depth > 1:
            for name, below in relations_of(relation.base, shapes, case, prepare, depth - 1).items():
                path = f"{relation.name}.{below.path}"
                found[f"{told}.{name}"] = Include(path, (*policies, *below.policies))
    return found
