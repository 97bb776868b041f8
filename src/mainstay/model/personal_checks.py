"""Start-up checks of personal data: whose a row is can be told, and what is to be emptied can be empty."""

from __future__ import annotations

from collections.abc import Iterator

from mainstay.model.blueprint import Blueprint
from mainstay.model.personal import ERASURES, Person
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.structs import Entity


def check_person(blueprint: Blueprint, entity: type[Entity], shape: Shape) -> None:
    """Note what is wrong with whose the rows of an entity are said to be."""
    declared = entity.__mainstay_options__.person
    personal = [a for a in shape.attributes if a.spec.personal]
    if declared is None:
        for attribute in personal:
            message = "personal, and nothing says whose the rows are"
            blueprint.fault(entity, f"{shape.name}.{attribute.name}", message, 'say person="customer_id" of the entity')
        return
    subject = f"{shape.name} person="
    for message, hint in (*_field_faults(blueprint, entity, shape, declared), *_erasure_faults(shape, declared)):
        blueprint.fault(entity, subject, message, hint)


def _field_faults(
    blueprint: Blueprint, entity: type[Entity], shape: Shape, declared: Person
) -> Iterator[tuple[str, str | None]]:
    attribute = shape.by_name.get(declared.field)
    if attribute is None or attribute.kind is not FieldKind.UUID or attribute.secret:
        yield f"{declared.field} is no field of type UUID", 'name the one that holds the id of a person, or "id"'
        return
    if attribute.encrypted:
        yield f"{declared.field} is encrypted: the rows of a person could not be found", None
    above, seen = blueprint.references.get((entity, declared.field)), {entity}
    if above is not None and above.__mainstay_options__.person is None:
        yield f"{declared.field} refers to {above.__name__}, which does not say whose its rows are", "say person= of it"
    while above is not None and above not in seen:
        seen.add(above)
        further = above.__mainstay_options__.person
        above = None if further is None else blueprint.references.get((above, further.field))
    if above is not None:
        yield f"{declared.field} leads back to {above.__name__}, and to no person", "name a field that holds an id"


def _erasure_faults(shape: Shape, declared: Person) -> Iterator[tuple[str, str | None]]:
    if declared.erase not in ERASURES:
        yield f'erase="{declared.erase}"', 'it is "delete", "anonymise" or "keep"'
    if (declared.erase == "keep") != bool(declared.reason.strip()):
        yield 'a reason belongs to erase="keep", and to that only', 'for example reason="tax law, 10 years"'
    if declared.erase != "anonymise":
        return
    emptied = [a for a in shape.attributes if a.spec.personal]
    if not emptied:
        yield "there is nothing to empty", "say field(personal=True) of what tells of the person"
    own = shape.by_name.get(declared.field)
    if declared.field != "id" and own is not None:
        emptied.append(own)
    stuck = [a.name for a in emptied if not _can_be_empty(a)]
    if stuck:
        yield f"{', '.join(stuck)} cannot be emptied", "make it optional (... | None), or give it a default"


def _can_be_empty(attribute: Attribute) -> bool:
    return attribute.optional or not (attribute.spec.required or attribute.spec.unique)
