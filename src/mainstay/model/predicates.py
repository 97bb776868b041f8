"""Predicates of row policies: run once on symbols of a row and a caller, so that they have an SQL form.

What a predicate gives is a template: a condition whose values may be the caller's, filled in for each principal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import msgspec

from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Contains,
    Not,
    listed,
)
from mainstay.model.principal import Principal


def condition_of(predicate: Callable[[Any, Any], Any]) -> Condition:
    """Run ``predicate(row, who)`` on symbols. Raises ``TypeError`` where it has no SQL form, saying what to write."""
    made = predicate(_Row(), _Who())
    if isinstance(made, bool):
        return TRUE if made else FALSE
    if isinstance(made, _Name):
        return Compare(made.name_, "eq", True)
    if not isinstance(made, Condition):
        raise TypeError(f"the predicate gives {type(made).__name__}, not a comparison of the row's fields")
    return made


class _OfCaller(msgspec.Struct, frozen=True, eq=False):
    """A value that is taken from the principal when the policy is reduced; ``type`` is that of the field beside it.

    Of ``several`` values there may be none, and that is no lack.
    """

    path: tuple[str, ...]
    type: Any = None
    several: bool = False

    __hash__ = None  # type: ignore[assignment]  # a symbol, as below

    def all_of(self, who: Principal) -> tuple[Any, ...]:
        """Return the caller's values: each member of a list, one otherwise; none where the caller has none that fits.

        Claims are JSON: where the field is a UUID, a time or an enum, the text of one counts as one.
        """
        value: Any = who
        for step in self.path:
            if value is None:
                return ()
            value = value.get(step) if isinstance(value, Mapping) else getattr(value, step)
            if value is None and step == "circumstances":
                raise LookupError("a row policy asks for the circumstances of a call, and this caller has none")
        members = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        return tuple(fit for member in members if (fit := self._fitting(member)) is not None)

    def of(self, who: Principal) -> Any:
        """Return the caller's one value, or None where there is none that fits."""
        found = self.all_of(who)
        return found[0] if len(found) == 1 else None

    def _fitting(self, value: Any) -> Any:
        if self.type is None or value is None:
            return value
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError:
            return None

    def __eq__(self, other: object) -> Any:
        return _mirrored(self, "eq", other)

    def __ne__(self, other: object) -> Any:
        return _mirrored(self, "ne", other)

    def __lt__(self, other: Any) -> Condition:
        return _mirrored(self, "gt", other)

    def __le__(self, other: Any) -> Condition:
        return _mirrored(self, "ge", other)

    def __gt__(self, other: Any) -> Condition:
        return _mirrored(self, "lt", other)

    def __ge__(self, other: Any) -> Condition:
        return _mirrored(self, "le", other)

    def __bool__(self) -> bool:
        raise TypeError(_OF_THE_CALL)

    def __iter__(self) -> Any:
        raise TypeError("turn it round: row.field.in_(who.roles), or check(...) for what looks at the caller only")


def of_caller(*path: str, type_: Any = None, several: bool = False) -> Any:
    """Return the symbol of a value of the caller, for templates that are made otherwise than by a predicate.

    ``of_caller("claims", "region")``; ``type_`` is the type of the field beside it. Of ``several`` values there may be
    none.
    """
    return _OfCaller(path, type_, several)


_OF_THE_CALL = "what looks at the caller only is no row predicate: combine where(...) with role(...) or check(...)"


def _mirrored(value: _OfCaller, op: str, other: object) -> Condition:
    """Compare a field with the caller's value, written the other way round."""
    if isinstance(other, _Name):
        return other.compare_(op, value)
    raise TypeError(_OF_THE_CALL)


class _Who:
    """The symbol of the caller in a predicate."""

    def __getattr__(self, name: str) -> Any:
        if name not in Principal.__struct_fields__:
            raise AttributeError(f"a principal has no {name}: {', '.join(Principal.__struct_fields__)}")
        inner = _INNER.get(name)
        if inner is not None:
            return _Inner(name, inner)
        return _ByName(name) if name in _BY_NAME else _OfCaller((name,))

    def __bool__(self) -> bool:
        raise TypeError(_OF_THE_CALL)


class _ByName:
    """The symbol of what is known of the caller by names: claims, attributes."""

    def __init__(self, of: str) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Any:
        return _OfCaller((self._of, name))

    def get(self, name: str) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        raise TypeError(_OF_THE_CALL)

    def __bool__(self) -> bool:
        raise TypeError(_OF_THE_CALL)


class _Inner:
    """The symbol of what has fields of its own: the caller's actor, the circumstances of the call."""

    def __init__(self, of: str, fields: tuple[str, ...]) -> None:
        self._of = of
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields:
            raise AttributeError(f"{self._of} has no {name}: {', '.join(self._fields)}")
        return _OfCaller((self._of, name))

    def __bool__(self) -> bool:
        raise TypeError(_OF_THE_CALL)


_BY_NAME = ("claims", "attributes")
_INNER: Mapping[str, tuple[str, ...]] = {
    "actor": ("id", "subject", "tenant", "roles", "scopes"),
    "circumstances": Circumstances.__struct_fields__,
}


class _Row:
    """The symbol of the row in a predicate: every attribute is the name of a field."""

    def __getattr__(self, name: str) -> Any:
        return _Name(name)


class _Name:
    """The symbol of a row's field."""

    __hash__ = None  # type: ignore[assignment]  # a symbol compares to a condition, so it can be no key

    def __init__(self, name: str) -> None:
        self.name_ = name

    def compare_(self, op: str, other: Any) -> Condition:
        if isinstance(other, _Name):
            return CompareFields(self.name_, op, other.name_)
        if isinstance(other, (_Who, _ByName, _Inner, _Row, Condition)):
            raise TypeError(
                f"{self.name_} is compared with no value: name a field of the caller, a claim or a constant"
            )
        return Compare(self.name_, op, other)

    def __eq__(self, other: object) -> Any:
        return self.compare_("eq", other)

    def __ne__(self, other: object) -> Any:
        return self.compare_("ne", other)

    def __lt__(self, other: Any) -> Condition:
        return self.compare_("lt", other)

    def __le__(self, other: Any) -> Condition:
        return self.compare_("le", other)

    def __gt__(self, other: Any) -> Condition:
        return self.compare_("gt", other)

    def __ge__(self, other: Any) -> Condition:
        return self.compare_("ge", other)

    def __invert__(self) -> Condition:
        return Not(Compare(self.name_, "eq", True))

    def __bool__(self) -> bool:
        raise TypeError("combine comparisons with &, | and ~: and, or, not and if have no SQL form")

    def in_(self, *members: Any) -> Condition:
        return Among(self.name_, listed(members))

    def contains(self, text: Any) -> Condition:
        return Contains(self.name_, text)

    def starts_with(self, text: Any) -> Condition:
        return Contains(self.name_, text, "start")


def fill(condition: Condition, who: Principal) -> Condition:
    """Put the caller's values into a template. A claim that the caller lacks matches no row, negated or not."""
    match condition:
        case Compare(field, op, _OfCaller() as value):
            given = value.of(who)
            return FALSE if given is None else Compare(field, op, given)
        case Among(field, members):
            filled = (m.all_of(who) if isinstance(m, _OfCaller) else (m,) for m in members)
            return Among(field, tuple(chain.from_iterable(filled)))
        case Contains(field, _OfCaller() as text, at):
            given = text.of(who)
            return Contains(field, given, at) if isinstance(given, str) else FALSE
        case Not(of):
            return FALSE if _lacks(of, who) else ~fill(of, who)
        case AllOf(parts):
            result: Condition = TRUE
            for part in parts:
                result = result & fill(part, who)
            return result
        case AnyOf(parts):
            result = FALSE
            for part in parts:
                result = result | fill(part, who)
            return result
    return condition


def _lacks(condition: Condition, who: Principal) -> bool:
    """Say whether a condition rests on a claim that the caller does not have."""
    match condition:
        case Compare(_, _, _OfCaller() as value):
            return value.of(who) is None
        case Contains(_, _OfCaller() as text, _):
            return not isinstance(text.of(who), str)
        case Among(_, members):
            return any(isinstance(m, _OfCaller) and not m.several and not m.all_of(who) for m in members)
        case Not(of):
            return _lacks(of, who)
        case AllOf(parts) | AnyOf(parts):
            return any(_lacks(part, who) for part in parts)
    return False


def typed(condition: Condition, types: Mapping[str, Any]) -> Condition:
    """Say of each of the caller's values in a template what type the field beside it has."""
    match condition:
        case Compare(field, op, _OfCaller(path)):
            return Compare(field, op, _OfCaller(path, types.get(field)))
        case Among(field, members):
            type_ = types.get(field)
            made = (_OfCaller(m.path, type_, m.several) if isinstance(m, _OfCaller) else m for m in members)
            return Among(field, tuple(made))
        case Not(of):
            return Not(typed(of, types))
        case AllOf(parts):
            return AllOf(tuple(typed(part, types) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(typed(part, types) for part in parts))
    return condition


def asks_circumstances(condition: Condition) -> bool:
    """Say whether a template takes a value from the circumstances of a call."""
    match condition:
        case Compare(_, _, value) | Contains(_, value, _):
            return isinstance(value, _OfCaller) and value.path[0] == "circumstances"
        case Among(_, members):
            return any(isinstance(m, _OfCaller) and m.path[0] == "circumstances" for m in members)
        case Not(of):
            return asks_circumstances(of)
        case AllOf(parts) | AnyOf(parts):
            return any(map(asks_circumstances, parts))
    return False
