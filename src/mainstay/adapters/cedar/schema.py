"""The Cedar schema of what a policy may ask: the caller, the fields of a row, the circumstances of a call."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mainstay.model.schema import Attribute, FieldKind, Shape

CLAIM_TYPES: Mapping[type, str] = {str: "String", int: "Long", bool: "Bool"}
"""What a claim of the caller may be."""

ROW_ACTIONS = frozenset({"read", "create", "update", "delete"})
"""Actions of every schema, beside the names of the service's operations."""

WHOLE = "Service"
"""The type of the resource where a policy is of an operation, and there is no row."""

_KINDS = {
    FieldKind.STRING: "String",
    FieldKind.UUID: "String",
    FieldKind.INTEGER: "Long",
    FieldKind.BOOLEAN: "Bool",
}


def schema_of(shape: Shape | None, claims: Mapping[str, type], actions: Collection[str]) -> str:
    """Return the schema for rows of a shape, or for none, in Cedar's own words."""
    resource = WHOLE if shape is None else shape.name
    known = {} if shape is None else dict(filter(None, map(_field, shape.attributes)))
    caller = {"id": "String", "subject": "String", "roles": "Set<String>", "scopes": "Set<String>"}
    caller |= {"tenant?": "String"} | {f"{name}?": CLAIM_TYPES[type_] for name, type_ in claims.items()}
    named = ", ".join(_quoted(name) for name in sorted(actions))
    context = "{ protocol: String, operation: String, delegated: Bool }"
    return (
        f"entity Role;\nentity User in [Role] {{ {_members(caller)} }};\nentity {resource} {{ {_members(known)} }};\n"
        f"action {named} appliesTo {{ principal: [User], resource: [{resource}], context: {context} }};\n"
    )


def _field(attribute: Attribute) -> tuple[str, str] | None:
    """Return a field with its type in Cedar; None for one that a policy cannot ask."""
    kind = "String" if attribute.kind is FieldKind.ENUM and issubclass(attribute.base, str) else None
    kind = kind or _KINDS.get(attribute.kind)
    if kind is None or attribute.hidden:
        return None
    return f"{attribute.name}{'?' if attribute.optional else ''}", kind


def _members(members: Mapping[str, str]) -> str:
    return ", ".join(
        f"{_quoted(name.removesuffix('?'))}{'?' if name.endswith('?') else ''}: {kind}"
        for name, kind in members.items()
    )


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
