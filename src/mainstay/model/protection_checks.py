"""Start-up checks of protected fields: nothing rests on what is encrypted, and only what is stored is protected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainstay.model.blueprint import Blueprint, resolve_shape
from mainstay.model.conditions import fields as condition_fields
from mainstay.model.policy import Owner, Policy, Prepared, Where
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.structs import Entity

Told = tuple[str, str | None]
"""What is wrong, and what to do."""

_FOUND_BY = ("unique", "index", "searchable", "references")
_DIGEST = "keep a keyed digest of it in a field of its own, and find rows by that"


def check_protection(struct: Any, attribute: Attribute) -> Iterator[Told]:
    """Walk what is wrong with the protection of one field."""
    spec = attribute.spec
    if attribute.encrypted:
        yield from _encrypted_misfits(struct, attribute)
    if spec.personal and not issubclass(struct, Entity):
        yield "personal is for fields of an entity: what is stored is exported and erased", None
    if spec.personal not in (True, False, "blob"):
        yield f'personal={spec.personal!r}: it is True, or "blob"', None
    if spec.personal == "blob" and (attribute.kind is not FieldKind.STRING or attribute.secret):
        yield 'personal="blob" is for str: the key of an object', None


def _encrypted_misfits(struct: Any, attribute: Attribute) -> Iterator[Told]:
    spec = attribute.spec
    if not issubclass(struct, Entity):
        yield "encrypted is for fields of an entity: it says how they are stored", None
    elif hasattr(struct, "__post_init__"):
        yield "encrypted, and __post_init__ would meet the stored form", "check rows in the use case"
    if isinstance(spec.encrypted, str) and not spec.encrypted.isprintable():
        yield "the label of an encrypted field is printable text", None
    asked = [name for name in _FOUND_BY if getattr(spec, name)]
    if asked:
        yield f"{asked[0]}, and no store can tell equal values of an encrypted field from others", _DIGEST


def check_encrypted_uses(blueprint: Blueprint, entity: type[Entity], shape: Shape) -> None:
    """Note where options or relations of an entity rest on an encrypted field."""
    tenancy = entity.__mainstay_options__.tenancy
    if tenancy is not None and _is_encrypted(shape, tenancy.field):
        message = f"{tenancy.field} is encrypted: rows of a tenant could not be found"
        blueprint.fault(entity, f"{entity.__name__} tenant=", message)
    for relation in shape.relations:
        target = resolve_shape(blueprint, relation.base)
        key = "" if relation.relation is None else relation.relation.key
        if relation.kind is FieldKind.MANY and target is not None and _is_encrypted(target, key):
            message = f"{target.name}.{key} is encrypted: the rows of the relation could not be found"
            blueprint.fault(entity, f"{entity.__name__}.{relation.name}", message)


def encrypted_in(policy: Policy, shape: Shape) -> list[str]:
    """Return the encrypted fields that a policy looks at, which the statement that it becomes part of could not."""
    named: list[str] = []
    for part in policy.parts():
        if isinstance(part, Owner):
            named.append(part.field)
        elif isinstance(part, Where):
            named.extend(_looked_at(part))
        elif isinstance(part, Prepared):  # from a file of policies
            named.extend(condition_fields(part.condition))
    return [name for name in dict.fromkeys(named) if _is_encrypted(shape, name)]


def _looked_at(part: Where) -> Iterator[str]:
    try:
        yield from condition_fields(part.template())
    except Exception:  # the team's own code: what it raises is told where the predicate is checked
        return


def _is_encrypted(shape: Shape, name: str) -> bool:
    return name in shape.by_name and shape.by_name[name].encrypted
