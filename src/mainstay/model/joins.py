"""Relations made whole: of which entity they are, of how many rows, and which fields their rows are found by."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import msgspec

from mainstay.model.fields import Relation
from mainstay.model.inputs import many_of, one_of
from mainstay.model.structs import Entity


class Join(NamedTuple):
    """The entity of a relation, whether it is to many rows of it, and the relation with all that was left out."""

    target: Any
    many: bool
    relation: Relation


def join_of(struct: Any, name: str, annotation: Any, relation: Relation) -> Join:
    """Return a relation of a struct made whole. Raises ``TypeError`` where it does not say how its rows are found."""
    many, one = many_of(annotation), one_of(annotation)
    target = one if many is None else many
    if not _is_entity(target):
        raise TypeError(f"{name}: {_told(relation)} needs the type Many[SomeEntity] or One[SomeEntity]")
    if relation.through is not None:
        if many is None:
            raise TypeError(f"{name}: One[...] is the row that a field of this entity refers to: leave through= out")
        return Join(target, True, _through(struct, name, target, relation))
    if not relation.key or relation.to:
        raise TypeError(f"{name}: {_told(relation)} needs the name of the field that refers, and to= needs through=")
    return Join(target, many is not None, relation)


def _through(struct: Any, name: str, target: Any, relation: Relation) -> Relation:
    """Return the relation with the entity between, and with its two fields."""
    between = relation.through
    if isinstance(between, str):
        between = vars(sys.modules.get(struct.__module__, sys)).get(between)
    if not _is_entity(between):
        hint = "give the entity's class, or its name where it is declared in the same file"
        raise TypeError(f"{name}: through={relation.through!r} is no entity: {hint}")
    key = relation.key or _field(name, between, struct, relation.to)
    to = relation.to or _field(name, between, target, key)
    return msgspec.structs.replace(relation, through=between, key=key, to=to)


def _field(name: str, between: Any, entity: Any, taken: str) -> str:
    """Return the field by which the entity between refers to another."""
    bases = [base for base in entity.__mro__ if base is not Entity and _is_entity(base)]
    known = {*bases, *(base.__name__ for base in bases)}
    specs = between.__mainstay_fields__
    found: list[str] = [each for each, spec in specs.items() if spec.references in known and each != taken]
    if len(found) != 1:
        number = "more than one field" if found else "no field"
        raise TypeError(
            f"{name}: {between.__name__} has {number} that refers to {entity.__name__}: "
            'give related("its_field", through=..., to="its_other_field")'
        )
    return found[0]


def _is_entity(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Entity)


def _told(relation: Relation) -> str:
    return f"related({relation.key!r})" if relation.key else "related(...)"
