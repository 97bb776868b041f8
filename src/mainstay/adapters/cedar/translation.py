"""Cedar's JSON form of policies (https://docs.cedarpolicy.com/policies/json-format.html) to policies of ours.

Only what passed strict validation is translated: no attribute is asked for that may be missing, so that Cedar itself
would meet no error, and both give one answer for every caller and row. What has no counterpart raises ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mainstay.adapters.cedar.terms import Call, Literal, Outside, Row, Scene, term_of
from mainstay.model.conditions import OPERATORS, Among, Compare, CompareFields, Condition, Contains
from mainstay.model.policy import CallPolicy, Policy, Prepared, anyone, role
from mainstay.model.predicates import of_caller
from mainstay.model.principal import Principal

NOBODY: Policy = ~anyone

_COMPARED = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


class Asked(CallPolicy, frozen=True):
    """A leaf that asks for the caller and the circumstances of its call, and for no row."""

    function: Callable[[Principal], bool]
    told: str
    circumstantial: bool = False

    def allows(self, who: Principal) -> bool:
        return self.function(who)

    def __repr__(self) -> str:
        return self.told


def translated(statements: Sequence[Mapping[str, Any]], scene: Scene) -> Policy:
    """Return the policy that a set of Cedar's comes to: what a permit allows, and no forbid forbids."""
    permits, forbids = NOBODY, NOBODY
    for statement in statements:
        policy = _policy(statement, scene)
        if statement["effect"] == "permit":
            permits = policy if permits is NOBODY else permits | policy
        else:
            forbids = policy if forbids is NOBODY else forbids | policy
    return permits if forbids is NOBODY else permits & ~forbids


def _policy(statement: Mapping[str, Any], scene: Scene) -> Policy:
    parts = [_action(statement["action"], scene), _principal(statement["principal"])]
    parts.append(_resource(statement["resource"], scene))
    for condition in statement["conditions"]:
        body = _boolean(condition["body"], scene)
        parts.append(body if condition["kind"] == "when" else ~body)
    policy = anyone
    for part in parts:
        if part is NOBODY:
            return NOBODY
        policy = part if policy is anyone else policy if part is anyone else policy & part
    return policy


def _action(scope: Mapping[str, Any], scene: Scene) -> Policy:
    entities = scope.get("entities") or [scope["entity"]] if scope["op"] != "All" else []
    named = {entity["id"] for entity in entities}
    return anyone if scope["op"] == "All" or scene.action in named else NOBODY


def _principal(scope: Mapping[str, Any]) -> Policy:
    match scope["op"]:
        case "All" | "is" if "in" not in scope:
            return anyone
        case "==":
            return _is_caller(scope["entity"])
        case "in" | "is":
            return _in_role(scope["entity"] if scope["op"] == "in" else scope["in"]["entity"])
    raise ValueError(f"principal {scope['op']} has no counterpart")


def _resource(scope: Mapping[str, Any], scene: Scene) -> Policy:
    if scope["op"] == "All":
        return anyone
    if scope["op"] == "is" and "in" not in scope:
        return anyone if scope["entity_type"] == scene.resource else NOBODY
    if scope["op"] == "==" and scope["entity"]["type"] == scene.resource and "id" in scene.types:
        return _row(Compare("id", "eq", _fitting("id", scope["entity"]["id"], scene)))
    raise ValueError(f"resource {scope['op']} has no counterpart: rows have no parents")


def _is_caller(entity: Mapping[str, Any]) -> Policy:
    wanted = entity["id"]
    return Asked(lambda who: str(who.id) == wanted, f"principal == {entity['type']}::{wanted!r}")


def _in_role(entity: Mapping[str, Any]) -> Policy:
    if entity["type"] == "Role":
        return role(entity["id"])
    if entity["type"] == "User":
        return _is_caller(entity)
    raise ValueError(f"principal in {entity['type']}: callers belong to roles, and to nothing else")


def _row(condition: Condition) -> Policy:
    return Prepared(condition, "where(...)")


def _boolean(body: Mapping[str, Any], scene: Scene) -> Policy:
    """Translate an expression that is true or false."""
    ((name, inner),) = body.items()
    found = _BOOLEANS.get(name)
    if found is not None:
        return found(inner, scene)
    if name in _COMPARED:
        return _comparison(_COMPARED[name], inner, scene)
    raise ValueError(f"{name} has no counterpart")


def _value(inner: Any, _scene: Scene) -> Policy:
    return anyone if inner is True else NOBODY


def _if(inner: Mapping[str, Any], scene: Scene) -> Policy:
    condition, yes, no = (_boolean(inner[name], scene) for name in ("if", "then", "else"))
    return (condition & yes) | (~condition & no)


def _attribute(inner: Mapping[str, Any], scene: Scene) -> Policy:
    """Translate an attribute that is true or false by itself."""
    term = term_of({".": inner}, scene)
    if isinstance(term, Row):
        return _row(Compare(term.field, "eq", True))
    return _asked(term, lambda value: value is True, term.told)


def _asked(term: Any, holds: Callable[[Any], bool], told: str) -> Policy:
    if not isinstance(term, Call):
        raise ValueError(f"{told}: it asks for no caller and no row")
    return Asked(lambda who: holds(term.get(who)), told, term.circumstantial)


def _has(inner: Mapping[str, Any], scene: Scene) -> Policy:
    term = term_of({".": inner}, scene)
    if isinstance(term, Row):
        return _row(Compare(term.field, "ne", None))
    return _asked(term, lambda value: value is not None, f"{term.told} is there")


def _like(inner: Mapping[str, Any], scene: Scene) -> Policy:
    term = term_of(inner["left"], scene)
    if not isinstance(term, Row):
        raise ValueError("like: only a field of the row is compared so")
    pieces = [None if piece == "Wildcard" else piece["Literal"] for piece in inner["pattern"]]  # a character each
    text = "".join(piece for piece in pieces if piece is not None)
    shape = "".join("*" if piece is None else "t" for piece in pieces)
    match shape.strip("t"), shape.startswith("*"), shape.endswith("*"):
        case "", _, _:
            return _row(Compare(term.field, "eq", text))
        case "*", False, True:
            return _row(Contains(term.field, text, "start"))
        case _, True, True if shape.count("*") == 2:
            return _row(Contains(term.field, text))
    raise ValueError("like: only text, text* and *text* have a counterpart")


def _contains(inner: Mapping[str, Any], scene: Scene) -> Policy:
    held, member = term_of(inner["left"], scene), term_of(inner["right"], scene)
    told = f"{held.told} contains {member.told}"
    if isinstance(member, Row) and isinstance(held, Literal):
        members = tuple(_fitting(member.field, value, scene) for value in held.value)
        return _row(Among(member.field, members))
    if isinstance(member, Row) and isinstance(held, Call) and held.path:
        return _row(Among(member.field, (of_caller(*held.path, type_=scene.types.get(member.field), several=True),)))
    if isinstance(held, Outside) and isinstance(member, Outside):
        return _both(held, member, lambda left, right: right in left, told)
    raise ValueError(f"{told}: it has no counterpart")


def _both(left: Outside, right: Outside, holds: Callable[[Any, Any], bool], told: str) -> Policy:
    """Return a leaf over two values that no row is needed for."""

    def asked(who: Principal) -> bool:
        one, other = left.get(who), right.get(who)
        return one is not None and other is not None and holds(one, other)

    return Asked(asked, told, left.circumstantial or right.circumstantial)


def _comparison(op: str, inner: Mapping[str, Any], scene: Scene) -> Policy:
    left, right = term_of(inner["left"], scene), term_of(inner["right"], scene)
    if isinstance(left, Outside) and isinstance(right, Outside):
        return _both(left, right, OPERATORS[op], f"{left.told} {op} {right.told}")
    if isinstance(left, Row) and isinstance(right, Row):
        return _row(CompareFields(left.field, op, right.field))
    if not isinstance(left, Row):
        left, right, op = right, left, _MIRRORED[op]
    if isinstance(right, Literal):
        return _row(Compare(left.field, op, _fitting(left.field, right.value, scene)))
    if isinstance(right, Call) and right.path:
        return _row(Compare(left.field, op, of_caller(*right.path, type_=scene.types.get(left.field))))
    raise ValueError(f"{left.told} {op} {right.told}: it has no counterpart")


def _fitting(field: str, value: Any, scene: Scene) -> Any:
    """Return a constant as a value of the field that it is compared with."""
    type_ = scene.types.get(field)
    try:
        return value if type_ is None else msgspec.convert(value, type_)
    except msgspec.ValidationError:
        raise ValueError(f"{field} never has the value {value!r}") from None


def _membership(inner: Mapping[str, Any], _scene: Scene) -> Policy:
    if inner["left"] != {"Var": "principal"}:
        raise ValueError("in: only the principal belongs to something")
    entity = inner["right"].get("Value", {}).get("__entity")
    if entity is None:
        raise ValueError("principal in: name one role")
    return _in_role(entity)


def _is(inner: Mapping[str, Any], scene: Scene) -> Policy:
    if inner["left"] == {"Var": "principal"}:
        return anyone  # callers are of one type
    return _resource({"op": "is", "entity_type": inner["entity_type"]}, scene)


_BOOLEANS: Mapping[str, Callable[[Any, Scene], Policy]] = {
    "Value": _value,
    "&&": lambda inner, scene: _boolean(inner["left"], scene) & _boolean(inner["right"], scene),
    "||": lambda inner, scene: _boolean(inner["left"], scene) | _boolean(inner["right"], scene),
    "!": lambda inner, scene: ~_boolean(inner["arg"], scene),
    "if-then-else": _if,
    ".": _attribute,
    "has": _has,
    "like": _like,
    "contains": _contains,
    "is": _is,
    "in": _membership,
}
