"""Policies: who may do what, and with which rows.

A policy is a tree of leaves composed with ``&``, ``|`` and ``~``. For a principal it *reduces* to a condition:
``TRUE``, ``FALSE``, or a condition on the row, which every repository puts into its statements. What looks at the call
only is decided by the reduction itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    Always,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Contains,
    Not,
)
from mainstay.model.principal import Principal


class Policy(msgspec.Struct, frozen=True):
    """The root of the tree. ``reduce`` answers for a principal; ``looks_at_row`` says whether it may need a row."""

    def __and__(self, other: Policy) -> Policy:
        return Both(self, other)

    def __or__(self, other: Policy) -> Policy:
        return Either(self, other)

    def __invert__(self) -> Policy:
        return Inverse(self)

    def __bool__(self) -> bool:
        raise TypeError("a policy has no truth value: combine policies with &, | and ~, not and, or and not")

    def reduce(self, who: Principal) -> Condition:  # noqa: ARG002 - for the leaves
        """Return the condition on a row under which ``who`` may; ``TRUE`` and ``FALSE`` need no row."""
        raise TypeError(f"{type(self).__name__} does not say how it reduces")

    def parts(self) -> Iterator[Policy]:
        """Walk this policy and all below it."""
        yield self

    @property
    def looks_at_row(self) -> bool:
        """Whether the answer may depend on a row."""
        return any(isinstance(part, RowPolicy) for part in self.parts())


class CallPolicy(Policy, frozen=True):
    """A leaf that looks at the call only."""

    def allows(self, who: Principal) -> bool:  # noqa: ARG002 - for the leaves
        """Say whether ``who`` may."""
        raise TypeError(f"{type(self).__name__} does not say whom it allows")

    def reduce(self, who: Principal) -> Condition:
        return TRUE if self.allows(who) else FALSE


class RowPolicy(Policy, frozen=True):
    """A leaf that looks at a row."""


class Anyone(CallPolicy, frozen=True):
    """Every caller, known or not."""

    def allows(self, who: Principal) -> bool:  # noqa: ARG002
        return True

    def __repr__(self) -> str:
        return "anyone"


class Authenticated(CallPolicy, frozen=True):
    """Every caller with valid credentials."""

    def allows(self, who: Principal) -> bool:
        return who.authenticated

    def __repr__(self) -> str:
        return "authenticated"


class Role(CallPolicy, frozen=True):
    """A caller with at least one of the roles."""

    names: frozenset[str]

    def allows(self, who: Principal) -> bool:
        return who.is_system or not self.names.isdisjoint(who.roles)

    def __repr__(self) -> str:
        return f"role({', '.join(map(repr, sorted(self.names)))})"


class Scope(CallPolicy, frozen=True):
    """A caller with all of the scopes."""

    names: frozenset[str]

    def allows(self, who: Principal) -> bool:
        return who.is_system or self.names <= who.scopes

    def __repr__(self) -> str:
        return f"scope({', '.join(map(repr, sorted(self.names)))})"


class Check(CallPolicy, frozen=True):
    """A caller of whom a plain function says so."""

    function: Callable[[Principal], bool]

    def allows(self, who: Principal) -> bool:
        return bool(self.function(who))

    def __repr__(self) -> str:
        return f"check({getattr(self.function, '__name__', 'function')})"


class Owner(RowPolicy, frozen=True):
    """Rows whose field holds the caller's id."""

    field: str

    def reduce(self, who: Principal) -> Condition:
        if who.is_system:
            return TRUE
        return Compare(self.field, "eq", who.id) if who.authenticated else FALSE

    def __repr__(self) -> str:
        return f"owner({self.field!r})"


class Where(RowPolicy, frozen=True):
    """Rows of which the predicate is true. It is run once on symbols, never on rows."""

    predicate: Callable[[Any, Any], Any]

    def template(self) -> Condition:
        """Run the predicate on symbols. Raises ``TypeError`` where it has no SQL form, saying what to write instead."""
        made = self.predicate(_Row(), _Who())
        if isinstance(made, bool):
            return Always(made)
        if isinstance(made, _Name):
            return Compare(made.name_, "eq", True)
        if not isinstance(made, Condition):
            raise TypeError(f"the predicate gives {type(made).__name__}, not a comparison of the row's fields")
        return made

    def reduce(self, who: Principal) -> Condition:
        return TRUE if who.is_system else _fill(self.template(), who)

    def __repr__(self) -> str:
        return f"where({getattr(self.predicate, '__name__', 'predicate')})"


class Prepared(RowPolicy, frozen=True):
    """A ``where`` whose predicate was run already: what a running service reduces."""

    condition: Condition

    def reduce(self, who: Principal) -> Condition:
        return TRUE if who.is_system else _fill(self.condition, who)


class Both(Policy, frozen=True):
    """Both hold."""

    left: Policy
    right: Policy

    def reduce(self, who: Principal) -> Condition:
        left = self.left.reduce(who)
        return left if left is FALSE else left & self.right.reduce(who)

    def parts(self) -> Iterator[Policy]:
        yield self
        yield from self.left.parts()
        yield from self.right.parts()

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


class Either(Policy, frozen=True):
    """At least one holds."""

    left: Policy
    right: Policy

    def reduce(self, who: Principal) -> Condition:
        left = self.left.reduce(who)
        return left if left is TRUE else left | self.right.reduce(who)

    def parts(self) -> Iterator[Policy]:
        yield self
        yield from self.left.parts()
        yield from self.right.parts()

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


class Inverse(Policy, frozen=True):
    """It does not hold."""

    of: Policy

    def reduce(self, who: Principal) -> Condition:
        return ~self.of.reduce(who)

    def parts(self) -> Iterator[Policy]:
        yield self
        yield from self.of.parts()

    def __repr__(self) -> str:
        return f"~{self.of!r}"


anyone = Anyone()
"""Every caller, known or not."""

authenticated = Authenticated()
"""Every caller with valid credentials."""


def role(*names: str) -> Policy:
    """Allow a caller that has at least one of the roles."""
    return Role(frozenset(names))


def scope(*names: str) -> Policy:
    """Allow a caller that has all of the scopes."""
    return Scope(frozenset(names))


def owner(field: str) -> Policy:
    """Allow rows whose ``field`` holds the caller's id; on create the field is set from the caller."""
    return Owner(field)


def where(predicate: Callable[[Any, Any], Any]) -> Policy:
    """Allow rows of which ``predicate(row, who)`` is true, built of comparisons with ``&``, ``|`` and ``~``.

    ``row.region == who.claims["region"]``, ``row.status.in_("new", "open")``, ``row.name.starts_with("a")``.
    """
    return Where(predicate)


def check(function: Callable[[Principal], bool]) -> Policy:
    """Allow a caller of whom ``function(principal)`` is true. It sees no row: for those use ``where``."""
    return Check(function)


def prepare(policy: Policy) -> Policy:
    """Return the policy with every predicate run once, so that reducing it runs none."""
    match policy:
        case Where():
            return Prepared(policy.template())
        case Both(left, right):
            return Both(prepare(left), prepare(right))
        case Either(left, right):
            return Either(prepare(left), prepare(right))
        case Inverse(of):
            return Inverse(prepare(of))
    return policy


def owner_fields(policy: Policy) -> Iterator[str]:
    """Walk the owner fields that stand in a policy without negation: those that are set from the caller on create."""
    if isinstance(policy, Owner):
        yield policy.field
    elif isinstance(policy, Both | Either):
        yield from owner_fields(policy.left)
        yield from owner_fields(policy.right)


class _OfCaller(msgspec.Struct, frozen=True):
    """A value that is taken from the principal when the policy is reduced."""

    path: tuple[str, ...]

    def of(self, who: Principal) -> Any:
        value: Any = who
        for step in self.path:
            value = value.get(step) if isinstance(value, Mapping) else getattr(value, step)
        return value


class _Who:
    """The symbol of the caller in a predicate."""

    def __init__(self, path: tuple[str, ...] = ()) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name not in Principal.__struct_fields__:
            raise AttributeError(f"a principal has no {name}: {', '.join(Principal.__struct_fields__)}")
        return _Who((name,)) if name == "claims" else _OfCaller((name,))

    def __getitem__(self, name: str) -> Any:
        return _OfCaller((*self._path, name))

    def get(self, name: str) -> Any:
        return self[name]


class _Row:
    """The symbol of the row in a predicate: every attribute is the name of a field."""

    def __getattr__(self, name: str) -> Any:
        return _Name(name)


class _Name:
    """The symbol of a row's field."""

    __hash__ = None  # type: ignore[assignment]  # a symbol compares to a condition, so it can be no key

    def __init__(self, name: str) -> None:
        self.name_ = name

    def _compare(self, op: str, other: Any) -> Condition:
        if isinstance(other, _Name):
            return CompareFields(self.name_, op, other.name_)
        return Compare(self.name_, op, other)

    def __eq__(self, other: object) -> Any:
        return self._compare("eq", other)

    def __ne__(self, other: object) -> Any:
        return self._compare("ne", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Condition:
        return self._compare("le", other)

    def __gt__(self, other: Any) -> Condition:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Condition:
        return self._compare("ge", other)

    def __invert__(self) -> Condition:
        return Not(Compare(self.name_, "eq", True))

    def __bool__(self) -> bool:
        raise TypeError("combine comparisons with &, | and ~: and, or, not and if have no SQL form")

    def in_(self, *members: Any) -> Condition:
        return Among(self.name_, members)

    def contains(self, text: Any) -> Condition:
        return Contains(self.name_, text)

    def starts_with(self, text: Any) -> Condition:
        return Contains(self.name_, text, "start")


def _fill(condition: Condition, who: Principal) -> Condition:
    """Put the caller's values into a template. A claim that the caller lacks matches no row, negated or not."""
    match condition:
        case Compare(field, op, _OfCaller() as value):
            given = value.of(who)
            return FALSE if given is None else Compare(field, op, given)
        case Among(field, members):
            filled = tuple(m.of(who) if isinstance(m, _OfCaller) else m for m in members)
            return Among(field, tuple(m for m in filled if m is not None))
        case Contains(field, _OfCaller() as text, at):
            given = text.of(who)
            return Contains(field, given, at) if isinstance(given, str) else FALSE
        case Not(of):
            return FALSE if _lacks(of, who) else ~_fill(of, who)
        case AllOf(parts):
            result: Condition = TRUE
            for part in parts:
                result = result & _fill(part, who)
            return result
        case AnyOf(parts):
            result = FALSE
            for part in parts:
                result = result | _fill(part, who)
            return result
    return condition


def _lacks(condition: Condition, who: Principal) -> bool:
    """Say whether a condition rests on a claim that the caller does not have."""
    match condition:
        case Compare(_, _, _OfCaller() as value) | Contains(_, _OfCaller() as value, _):
            return value.of(who) is None
        case Among(_, members):
            return any(isinstance(m, _OfCaller) and m.of(who) is None for m in members)
        case Not(of):
            return _lacks(of, who)
        case AllOf(parts) | AnyOf(parts):
            return any(_lacks(part, who) for part in parts)
    return False
