"""Terms of Cedar expressions: a field of the row, what is known of the call, or a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from mainstay.model.principal import Principal


class Term(msgspec.Struct, frozen=True):
    """A value in an expression, and how it stands there."""

    told: str


class Row(Term, frozen=True):
    """A field of the row."""

    field: str


class Outside(Term, frozen=True):
    """A value that no row is needed for."""

    circumstantial: bool = False

    def get(self, who: Principal) -> Any:
        """Return the value for a caller."""
        raise NotImplementedError


class Literal(Outside, frozen=True):
    """A constant; a set is a tuple."""

    value: Any = None

    def get(self, who: Principal) -> Any:  # noqa: ARG002 - the same for all
        return self.value


class Call(Outside, frozen=True):
    """What is known of the caller (``path`` says where in a principal) or of the circumstances of its call."""

    path: tuple[str, ...] = ()
    take: Callable[[Principal], Any] = lambda _who: None

    def get(self, who: Principal) -> Any:
        return self.take(who)


class Scene(NamedTuple):
    """What policies are translated for: an action on a type of resource; the types of its fields, and of claims."""

    action: str
    resource: str
    types: Mapping[str, Any]
    claims: Mapping[str, type]


def term_of(expression: Mapping[str, Any], scene: Scene) -> Any:
    """Return the term that an expression is. Raises ``ValueError`` for one that is put together of others."""
    ((name, inner),) = expression.items()
    if name == "Value":
        if isinstance(inner, dict):
            return _entity(inner)
        return Literal(repr(inner), value=inner)
    if name == "Set":
        members = [term_of(member, scene) for member in inner]
        if not all(isinstance(member, Literal) for member in members):
            raise ValueError("a set has constants in it, and nothing else")
        return Literal(f"[{', '.join(m.told for m in members)}]", value=tuple(m.value for m in members))
    if name == "." and inner["left"] in _VARIABLES:
        variable = inner["left"]["Var"]
        return _attribute(variable, inner["attr"], scene)
    if name == "Var" and inner == "principal":
        return Call("principal", take=lambda who: ("User", str(who.id)))
    raise ValueError(f"{name} has no counterpart")


_VARIABLES = ({"Var": "principal"}, {"Var": "resource"}, {"Var": "context"})


def _entity(inner: Mapping[str, Any]) -> Literal:
    entity = inner.get("__entity")
    if entity is None:
        raise ValueError("extension values have no counterpart")
    return Literal(f"{entity['type']}::{entity['id']!r}", value=(entity["type"], entity["id"]))


def _attribute(variable: str, name: str, scene: Scene) -> Term:
    told = f"{variable}.{name}"
    if variable == "resource":
        return Row(told, field=name)
    if variable == "context":
        return Call(told, circumstantial=name != "delegated", take=_CONTEXT[name])
    if name == "id":
        return Call(told, path=("id",), take=lambda who: str(who.id))
    if name in ("subject", "roles", "scopes", "tenant"):
        return Call(told, path=(name,), take=lambda who: getattr(who, name))
    type_ = scene.claims[name]
    return Call(told, path=("claims", name), take=lambda who: _of_type(who.claims.get(name), type_))


def _of_type(value: Any, type_: type) -> Any:
    return value if type(value) is type_ else None


def _circumstance(name: str) -> Callable[[Principal], Any]:
    def take(who: Principal) -> Any:
        if who.circumstances is None:
            raise LookupError(f"a Cedar policy asks for context.{name}, and this caller has no circumstances")
        return getattr(who.circumstances, name)

    return take


_CONTEXT: Mapping[str, Callable[[Principal], Any]] = {
    "protocol": _circumstance("protocol"),
    "operation": _circumstance("operation"),
    "delegated": lambda who: who.actor is not None,
}
