"""A search from the query string: filters, order, page, fields and relations of one entity, as the caller may ask.

``?price[gte]=10&status=placed&status[in]=a,b&name[contains]=x&search=tea&sort=-created_at,name&limit=20&cursor=...&count=exact
&fields=id,name&include=lines``. What a caller may not read is, to it, not there: the same answer as for a name that
no field has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.kernel.validate.includes import relations_of
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.parameters import unknown
from mainstay.kernel.validate.text import BadText, Parse, bind_text
from mainstay.model.conditions import TRUE, Among, Compare, Condition, Contains, having
from mainstay.model.fields import EMPTY, FieldSpec
from mainstay.model.inputs import DEFAULT_LIMIT, MAX_LIMIT, Find, Sort
from mainstay.model.naming import wire_names
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault
from mainstay.model.schema import COMPARABLE, Attribute, FieldKind, Shape, Shapes
from mainstay.model.service import Case
from mainstay.model.words import words_of

_EVERYTHING: Find[Any] = Find()
Given = Mapping[str, list[str]]
Make = Callable[[str, str], Condition]

_OF_ONE = ("fields", "include")
_ORDERED = frozenset(
    {
        FieldKind.INTEGER,
        FieldKind.FLOAT,
        FieldKind.DECIMAL,
        FieldKind.DATETIME,
        FieldKind.DATE,
        FieldKind.TIME,
        FieldKind.STRING,
        FieldKind.UUID,
    }
)
_HEAVY = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY, FieldKind.BYTES})
_LONG = 500  # characters of a text that is heavy
_COMPARISONS = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le"}
EQUALITIES = ("eq", "ne", "in")
OPERATORS = (*EQUALITIES, *_COMPARISONS, "contains", "starts", "null")


def operators_of(attribute: Attribute) -> tuple[str, ...]:
    """Return the operators that a filter on a field may use, in the order of the contract."""
    if attribute.kind not in COMPARABLE or attribute.hidden or attribute.encrypted:
        return ()
    found = list(EQUALITIES)
    if attribute.kind in _ORDERED:
        found.extend(_COMPARISONS)
    if attribute.kind is FieldKind.STRING:
        found.extend(("contains", "starts"))
    if attribute.optional:
        found.append("null")
    return tuple(found)


def heavy_fields(shape: Shape) -> tuple[str, ...]:
    """Return the fields whose values may be so large, or cost so much to read, that it is worth not to.

    None where the entity looks at its values when a row is made: it has to have them all.
    """
    if hasattr(shape.type, "__post_init__"):
        return ()
    return tuple(a.name for a in shape.attributes if a.encrypted or a.kind in _HEAVY or _is_long(a))


def _is_long(attribute: Attribute) -> bool:
    longest = attribute.spec.max_length
    return attribute.kind is FieldKind.STRING and (longest is None or longest > _LONG)


def is_sortable(attribute: Attribute) -> bool:
    """Say whether rows can be put in the order of a field."""
    if attribute.hidden or attribute.encrypted:
        return False
    if attribute.kind is FieldKind.ENUM:
        return issubclass(attribute.base, str | int)
    return attribute.kind in _ORDERED | {FieldKind.BOOLEAN}


class _Filter:
    """The filters on one field."""

    def __init__(self, attribute: Attribute, told: str, rank: int, limits: InputLimits) -> None:
        self.rank = rank
        self.operators = frozenset(operators_of(attribute))
        self._field = attribute.name
        self._limits = limits
        plain = msgspec.structs.replace(attribute, spec=_unbounded(attribute), metas=_zones(attribute))
        self._plain = {operator: bind_text(plain, f"{told}[{operator}]") for operator in self.operators}
        self._plain[""] = bind_text(plain, told)

    def condition(self, operator: str, text: str, told: str) -> Condition:
        """Return the condition of one filter. Raises ``BadText``."""
        read: Parse = self._plain[operator]
        operator = operator or "eq"
        field = self._field
        if operator == "null":
            if text not in ("true", "false"):
                raise BadText([Fault("format", "must be true or false", parameter=told)])
            return Compare(field, "eq" if text == "true" else "ne", None)
        if operator == "in":
            members = text.split(",")
            if len(members) > self._limits.members:
                raise BadText([Fault("too_long", f"may list {self._limits.members} values", parameter=told)])
            return Among(field, tuple(dict.fromkeys(map(read, members))))
        value = read(text)
        if operator in ("contains", "starts"):
            return Contains(field, value, "any" if operator == "contains" else "start")
        return Compare(field, _COMPARISONS.get(operator, operator), value)


def _unbounded(attribute: Attribute) -> FieldSpec:
    """A filter may ask beyond the bounds of a field, for prices under 0, but not for what no store could hold."""
    if attribute.kind is FieldKind.DECIMAL:
        return FieldSpec(digits=attribute.digits, places=attribute.places)
    return EMPTY


def _zones(attribute: Attribute) -> tuple[msgspec.Meta, ...]:
    return (msgspec.Meta(tz=True),) if attribute.kind is FieldKind.DATETIME else ()


class Search:
    """Reads the searches of one entity. Of ``one`` row only fields and relations can be chosen.

    With ``shown_only`` nobody looks at the rows but who shows the fields that were asked for: heavy ones need not be
    read from the store then. A mask looks at none of these, as a field that is masked for a caller cannot be asked for.
    """

    def __init__(
        self,
        entity: Any,
        shapes: Shapes,
        *,
        case: Case,
        prepare: Callable[[Policy, Mapping[str, Any]], Policy],
        limits: InputLimits,
        one: bool = False,
        shown_only: bool = False,
    ) -> None:
        shape = shapes.of(entity)
        names = wire_names(entity, case)
        self._limits = limits
        self._fields: dict[str, Attribute] = {names[a.name]: a for a in shape.attributes if not a.hidden}
        self._filters = {
            told: _Filter(attribute, told, rank, limits)
            for rank, (told, attribute) in enumerate(self._fields.items())
            if operators_of(attribute)
        }
        self._policies = {
            told: prepare(attribute.spec.read, shape.types)
            for told, attribute in self._fields.items()
            if attribute.spec.read is not None
        }
        self._relations = relations_of(entity, shapes, case, prepare)
        self._searchable = {told: a.name for told, a in self._fields.items() if a.spec.searchable}
        self._heavy = heavy_fields(shape) if shown_only else ()
        if one:
            self._filters.clear()
            self._searchable.clear()
        found = ("search",) if self._searchable else ()
        self._reserved = frozenset(_OF_ONE if one else (*_OF_ONE, "sort", "limit", "cursor", "count", *found))

    def _masked(self, who: Principal) -> frozenset[str]:
        """Return the fields that this caller may not read, in some row at least."""
        if not self._policies:
            return frozenset()
        return frozenset(told for told, policy in self._policies.items() if policy.reduce(who) is not TRUE)

    def read(self, given: Given, known: frozenset[str], who: Principal, faults: list[Fault]) -> Find[Any]:
        """Return the search of a query string; ``known`` are the names of other parameters."""
        if not given:
            return _EVERYTHING
        masked = self._masked(who)
        condition = self._condition(given, known, masked, faults) & self._search(given, masked, faults)
        sort, fields = self._sort(given, masked, faults), self._shown(given, masked, faults)
        return Find(
            condition=condition,
            sort=sort,
            limit=self._limit(given, faults),
            cursor=_single(given, "cursor", faults),
            count=self._count(given, faults),
            fields=fields,
            include=self._include(given, who, faults),
            unread=() if fields is None else self._unread(fields, sort),
        )

    def _search(self, given: Given, masked: frozenset[str], faults: list[Fault]) -> Condition:
        """Return the condition of the words that are searched for, in the fields that this caller may read."""
        text = _single(given, "search", faults) if self._searchable else None
        if text is None:
            return TRUE
        fields = tuple(name for told, name in self._searchable.items() if told not in masked)
        if not fields:
            faults.append(unknown("search"))
        elif len(text) > self._limits.search:
            faults.append(Fault("too_long", f"may have {self._limits.search} characters", parameter="search"))
        else:
            return having(words_of(text), fields)
        return TRUE

    def _unread(self, fields: tuple[str, ...], sort: tuple[Sort, ...]) -> tuple[str, ...]:
        """Return the heavy fields that are neither shown nor sorted by: a cursor holds what rows are sorted by."""
        looked_at = {*fields, *(key.field for key in sort)}
        return tuple(name for name in self._heavy if name not in looked_at)

    def _condition(self, given: Given, known: frozenset[str], masked: frozenset[str], faults: list[Fault]) -> Condition:
        found: list[tuple[int, str, Condition]] = []
        for told, texts in given.items():
            if told in known or told in self._reserved:
                continue
            field, operator = _split(told)
            target = self._filters.get(field)
            if target is None or field in masked or (operator and operator not in target.operators):
                faults.append(unknown(told))
            elif len(texts) > 1:
                faults.append(Fault("repeated", "may be given once", parameter=told))
            else:
                try:
                    found.append((target.rank, operator, target.condition(operator, texts[0], told)))
                except BadText as bad:
                    faults.extend(bad.faults)
        if len(found) > self._limits.filters:
            faults.append(Fault("too_long", f"a search may have {self._limits.filters} filters", parameter=""))
        result: Condition = TRUE
        for _, _, condition in sorted(found, key=lambda one: one[:2]):
            result = result & condition
        return result

    def _sort(self, given: Given, masked: frozenset[str], faults: list[Fault]) -> tuple[Sort, ...]:
        text = _single(given, "sort", faults)
        if text is None:
            return ()
        keys = []
        for part in text.split(","):
            told = part.removeprefix("-")
            attribute = self._fields.get(told)
            if attribute is None or told in masked or not is_sortable(attribute):
                faults.append(Fault("unknown_field", "must name fields that can be sorted by", parameter="sort"))
                return ()
            keys.append(Sort(attribute.name, part.startswith("-")))
        if len(keys) > self._limits.sorts or len({key.field for key in keys}) < len(keys):
            detail = f"may name {self._limits.sorts} fields, each once"
            faults.append(Fault("too_long", detail, parameter="sort"))
        return tuple(keys)

    def _limit(self, given: Given, faults: list[Fault]) -> int:
        text = _single(given, "limit", faults)
        if text is None:
            return DEFAULT_LIMIT
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
            faults.append(Fault("range", f"must be an integer from 1 to {MAX_LIMIT}", parameter="limit"))
            return DEFAULT_LIMIT
        return int(text)

    def _count(self, given: Given, faults: list[Fault]) -> bool:
        text = _single(given, "count", faults)
        if text not in (None, "exact"):
            faults.append(Fault("enum", 'must be "exact"', parameter="count"))
        return text == "exact"

    def _shown(self, given: Given, masked: frozenset[str], faults: list[Fault]) -> tuple[str, ...] | None:
        text = _single(given, "fields", faults)
        if text is None:
            return None
        found: dict[str, None] = {}
        for told in text.split(","):
            if told not in self._fields or told in masked:
                faults.append(Fault("unknown_field", "must name fields of the answer", parameter="fields"))
                return None
            found[self._fields[told].name] = None
        return tuple(found)

    def _include(self, given: Given, who: Principal, faults: list[Fault]) -> tuple[str, ...]:
        text = _single(given, "include", faults)
        if text is None:
            return ()
        found: dict[str, None] = {}
        names = text.split(",")
        for told in names:
            relation = self._relations.get(told)
            if relation is None or any(policy.reduce(who) is not TRUE for policy in relation.policies):
                faults.append(Fault("unknown_relation", "must name relations of the answer", parameter="include"))
                return ()
            found[relation.path] = None
        if len(names) > self._limits.includes:
            detail = f"may name {self._limits.includes} relations"
            faults.append(Fault("too_long", detail, parameter="include"))
        return tuple(found)


def _split(told: str) -> tuple[str, str]:
    """Split "price[gte]" into field and operator; no operator is equality, an empty or broken one is none known."""
    field, bracket, rest = told.partition("[")
    if not bracket:
        return field, ""
    return (field, rest[:-1]) if rest.endswith("]") and rest != "]" else (told, "")


def _single(given: Given, name: str, faults: list[Fault]) -> str | None:
    texts = given.get(name)
    if texts is None:
        return None
    if len(texts) > 1:
        faults.append(Fault("repeated", "may be given once", parameter=name))
    return texts[0]
