"""Policies: who may do what, and with which rows.

A policy is a tree of leaves composed with ``&``, ``|`` and ``~``. For a principal it *reduces* to a condition:
``TRUE``, ``FALSE``, or a condition on the row, which every repository puts into its statements. What looks at the call
only is decided by the reduction itself. A negation asks each leaf for its opposite, so that what a leaf cannot decide,
for want of a claim or of a caller, opens nothing either way.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mainstay.model.conditions import FALSE, TRUE, Compare, Condition
from mainstay.model.predicates import asks_circumstances, condition_of, fill, typed
from mainstay.model.principal import Principal

if TYPE_CHECKING:
    from mainstay.model.schema import Shape


class Known(NamedTuple):
    """What a leaf may name where it stands: fields of a shape (None: there is no row), operations, declared roles."""

    shape: Shape | None
    operations: frozenset[str]
    roles: frozenset[str] | None  # None: any name is a role


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

    def opposite(self, who: Principal) -> Condition:
        """Return the condition on a row under which ``who`` may not, as far as that can be decided."""
        return ~self.reduce(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:  # noqa: ARG002 - for the leaves
        """Return the policy with all done that can be done once; ``types`` are those of the row's fields."""
        return self

    def faults(self, known: Known) -> Iterator[tuple[Any, str]]:  # noqa: ARG002 - for the leaves
        """Walk what is wrong with this leaf where it stands, each with its place where it has one of its own."""
        return iter(())

    def parts(self) -> Iterator[Policy]:
        """Walk this policy and all below it."""
        yield self

    @property
    def looks_at_row(self) -> bool:
        """Whether the answer may depend on a row."""
        return any(isinstance(part, RowPolicy) for part in self.parts())

    @property
    def circumstantial(self) -> bool:
        """Whether the answer may depend on the circumstances of a call: its time, its door, its address."""
        return False


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
    """A caller of whom a plain function says so; one that takes two values is given the circumstances as well."""

    function: Callable[..., bool]
    circumstantial: bool = False

    def allows(self, who: Principal) -> bool:
        if not self.circumstantial:
            return bool(self.function(who))
        if who.is_system:
            return True
        if who.circumstances is None:
            raise LookupError(f"{self!r} asks for the circumstances of a call, and this caller has none")
        return bool(self.function(who, who.circumstances))

    def __repr__(self) -> str:
        return f"check({getattr(self.function, '__name__', 'function')})"


class Owner(RowPolicy, frozen=True):
    """Rows whose field holds the caller's id."""

    field: str

    def reduce(self, who: Principal) -> Condition:
        if who.is_system:
            return TRUE
        return Compare(self.field, "eq", who.id) if who.authenticated else FALSE

    def opposite(self, who: Principal) -> Condition:
        return ~self.reduce(who) if who.authenticated else FALSE

    def __repr__(self) -> str:
        return f"owner({self.field!r})"


class Where(RowPolicy, frozen=True):
    """Rows of which the predicate is true. It is run once on symbols, never on rows."""

    predicate: Callable[[Any, Any], Any]

    def template(self) -> Condition:
        """Run the predicate on symbols. Raises ``TypeError`` where it has no SQL form, saying what to write instead."""
        return condition_of(self.predicate)

    def reduce(self, who: Principal) -> Condition:
        return self.prepared({}).reduce(who)

    def opposite(self, who: Principal) -> Condition:
        return self.prepared({}).opposite(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:
        return Prepared(typed(self.template(), types), repr(self))

    @property
    def circumstantial(self) -> bool:
        return asks_circumstances(self.template())

    def __repr__(self) -> str:
        return f"where({getattr(self.predicate, '__name__', 'predicate')})"


class Prepared(RowPolicy, frozen=True):
    """A ``where`` whose predicate was run already: what a running service reduces."""

    condition: Condition
    told: str = "where(...)"

    def reduce(self, who: Principal) -> Condition:
        return TRUE if who.is_system else fill(self.condition, who)

    def opposite(self, who: Principal) -> Condition:
        return FALSE if who.is_system else fill(~self.condition, who)

    @property
    def circumstantial(self) -> bool:
        return asks_circumstances(self.condition)

    def __repr__(self) -> str:
        return self.told


class Both(Policy, frozen=True):
    """Both hold."""

    left: Policy
    right: Policy

    def reduce(self, who: Principal) -> Condition:
        left = self.left.reduce(who)
        return left if left is FALSE else left & self.right.reduce(who)

    def opposite(self, who: Principal) -> Condition:
        left = self.left.opposite(who)
        return left if left is TRUE else left | self.right.opposite(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:
        return Both(self.left.prepared(types), self.right.prepared(types))

    @property
    def circumstantial(self) -> bool:
        return self.left.circumstantial or self.right.circumstantial

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

    def opposite(self, who: Principal) -> Condition:
        left = self.left.opposite(who)
        return left if left is FALSE else left & self.right.opposite(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:
        return Either(self.left.prepared(types), self.right.prepared(types))

    @property
    def circumstantial(self) -> bool:
        return self.left.circumstantial or self.right.circumstantial

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
        return self.of.opposite(who)

    def opposite(self, who: Principal) -> Condition:
        return self.of.reduce(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:
        return Inverse(self.of.prepared(types))

    @property
    def circumstantial(self) -> bool:
        return self.of.circumstantial

    def parts(self) -> Iterator[Policy]:
        yield self
        yield from self.of.parts()

    def __repr__(self) -> str:
        return f"~{self.of!r}"


anyone: Policy = Anyone()
"""Every caller, known or not."""

authenticated: Policy = Authenticated()
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


def check(function: Callable[..., bool]) -> Policy:
    """Allow a caller of whom ``function(principal)`` is true. It sees no row: for those use ``where``.

    One of two parameters is given the circumstances as well: ``check(lambda who, call: call.protocol == "rest")``.
    """
    return Check(function, circumstantial=_takes_two(function))


def _takes_two(function: Callable[..., bool]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False  # one that is written in C says nothing of itself
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([p for p in parameters if p.kind in plain and p.default is p.empty]) > 1


def prepare(policy: Policy, types: Mapping[str, Any] = MappingProxyType({})) -> Policy:
    """Return the policy with every predicate run once, so that reducing it runs none.

    ``types`` are those of the row's fields: a claim is compared as a value of its field's type.
    """
    return policy.prepared(types)


def owner_fields(policy: Policy) -> Iterator[str]:
    """Walk the owner fields that stand in a policy without negation: those that are set from the caller on create."""
    if isinstance(policy, Owner):
        yield policy.field
    elif isinstance(policy, Both | Either):
        yield from owner_fields(policy.left)
        yield from owner_fields(policy.right)
