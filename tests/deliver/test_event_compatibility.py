"""The rules of compatibility: what each change of an event breaks, for readers of now and for readers of before."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from event_shapes import Fields, dto, schema
from msgspec import Meta

from mainstay import Email, field
from mainstay.deliver.contracts import Change, Direction, compare
from mainstay.deliver.contracts.compatibility import breaches
from mainstay.deliver.contracts.rules import Rule


class Few(StrEnum):
    A = "a"
    B = "b"


class More(StrEnum):
    A = "a"
    B = "b"
    C = "c"


BASE: Fields = {"id": UUID}
FINE: tuple[set[Rule], set[Rule]] = (set(), set())
OPEN: dict[str, Any] = {"unknown": "ignore"}


def both(rule: Rule) -> tuple[set[Rule], set[Rule]]:
    return {rule}, {rule}


def wider(rule: Rule = Rule.BOUND_NARROWER) -> tuple[set[Rule], set[Rule]]:
    """More is allowed than before: who reads by the schema of before refuses some of it."""
    return set(), {rule}


def narrower(rule: Rule = Rule.BOUND_NARROWER) -> tuple[set[Rule], set[Rule]]:
    """Less is allowed than before: some of what was emitted before is refused."""
    return {rule}, set()


def one(before: Any, now: Any) -> tuple[Fields, Fields]:
    return {"it": before}, {"it": now}


CHANGES: dict[str, tuple[tuple[Fields, Fields], tuple[set[Rule], set[Rule]]]] = {
    "nothing": ((BASE, BASE), FINE),
    "an optional field is added": ((BASE, {**BASE, "note": (str, "")}), FINE),
    "an optional field is removed": (({**BASE, "note": (str, "")}, BASE), FINE),
    "a required field is added": ((BASE, {**BASE, "note": str}), narrower(Rule.FIELD_MISSING)),
    "a required field is removed": (({**BASE, "note": str}, BASE), wider(Rule.FIELD_MISSING)),
    "a field is renamed": (({"a": int}, {"b": int}), both(Rule.FIELD_MISSING)),
    "optional became required": (one((str, ""), str), narrower(Rule.FIELD_OPTIONAL)),
    "required became optional": (one(str, (str, "")), wider(Rule.FIELD_OPTIONAL)),
    "null is let in": (one(str, str | None), wider(Rule.NULL_REFUSED)),
    "null is let in no more": (one(str | None, str), narrower(Rule.NULL_REFUSED)),
    "a text became a number": (one(str, int), both(Rule.TYPE_CHANGED)),
    "a text became a decimal": (one(str, Decimal), both(Rule.TYPE_CHANGED)),
    "bytes became a text": (one(bytes, str), both(Rule.TYPE_CHANGED)),
    "an integer became a number": (one(int, float), wider(Rule.TYPE_CHANGED)),
    "a number became an integer": (one(float, int), narrower(Rule.TYPE_CHANGED)),
    "a value became anything": (one(int, Any), wider(Rule.TYPE_CHANGED)),
    "anything became a value": (one(Any, int), narrower(Rule.TYPE_CHANGED)),
    "a value became a list": (one(int, list[int]), both(Rule.TYPE_CHANGED)),
    "what a list holds": (one(list[int], list[str]), both(Rule.TYPE_CHANGED)),
    "what a map holds": (one(dict[str, int], dict[str, str]), both(Rule.TYPE_CHANGED)),
    "a map became a struct": (one(dict[str, int], dto(BASE)), both(Rule.TYPE_CHANGED)),
    "a value of an enum is added": (one(Few, More), wider(Rule.VALUE_REFUSED)),
    "a value of an enum is removed": (one(More, Few), narrower(Rule.VALUE_REFUSED)),
    "an enum became a text": (one(Few, str), wider(Rule.VALUES_UNBOUND)),
    "a text became an enum": (one(str, Few), narrower(Rule.VALUES_UNBOUND)),
    "a text became an id": (one(str, UUID), narrower(Rule.FORMAT_CHANGED)),
    "an id became a text": (one(UUID, str), wider(Rule.FORMAT_CHANGED)),
    "an id became a time": (one(UUID, datetime), both(Rule.FORMAT_CHANGED)),
    "a text became an address": (
        one(str, Email),
        ({Rule.FORMAT_CHANGED, Rule.PATTERN_CHANGED, Rule.BOUND_NARROWER}, set()),
    ),
    "a least value is raised": (one((int, field(ge=1)), (int, field(ge=2))), narrower()),
    "a least value is lowered": (one((int, field(ge=2)), (int, field(ge=1))), wider()),
    "a least value is said otherwise": (one((int, field(ge=1)), (int, field(gt=0))), FINE),
    "a least number is outside": (one((float, field(ge=1)), (float, field(gt=1))), narrower()),
    "a greatest value is lowered": (one((int, field(le=9)), (int, field(le=8))), narrower()),
    "a greatest value is gone": (one((int, field(le=9)), int), wider()),
    "a greatest number is outside": (one((float, field(le=9)), (float, field(lt=9))), narrower()),
    "steps are finer": (one(Annotated[int, Meta(multiple_of=10)], Annotated[int, Meta(multiple_of=5)]), wider()),
    "steps are new": (one(int, Annotated[int, Meta(multiple_of=5)]), narrower()),
    "a text must be longer": (one(str, (str, field(min_length=1))), narrower()),
    "a text may be longer": (one((str, field(max_length=9)), (str, field(max_length=10))), wider()),
    "a list must hold more": (one(list[int], (list[int], field(min_length=1))), narrower()),
    "a list may hold more": (one((list[int], field(max_length=1)), list[int]), wider()),
    "a pattern is new": (one(str, (str, field(pattern="[a-z]+"))), narrower(Rule.PATTERN_CHANGED)),
    "a pattern is another": (
        one((str, field(pattern="[a-z]+")), (str, field(pattern="[a-y]+"))),
        both(Rule.PATTERN_CHANGED),
    ),
    "digits are added": (one((Decimal, field(digits=6, places=2)), (Decimal, field(digits=8, places=2))), wider()),
    "places are removed": (
        one((Decimal, field(digits=6, places=2)), (Decimal, field(digits=5, places=1))),
        narrower(),
    ),
    "a decimal may be negative": (one((Decimal, field(ge=0)), Decimal), wider()),
    "a decimal is bounded": (one(Decimal, (Decimal, field(lt=100))), narrower()),
    "a field of a held struct is added": (
        one(dto(BASE, **OPEN), dto({**BASE, "note": (str, "")}, **OPEN)),
        FINE,
    ),
    "a field is added where unknown ones are refused": (
        one(dto(BASE), dto({**BASE, "note": (str, "")})),
        wider(Rule.FIELD_REFUSED),
    ),
    "a field is removed where unknown ones are refused": (
        one(dto({**BASE, "note": (str, "")}), dto(BASE)),
        narrower(Rule.FIELD_REFUSED),
    ),
    "a type deep inside": (
        one(list[dto({"at": dict[str, int]}, **OPEN)], list[dto({"at": dict[str, str]}, **OPEN)]),  # type: ignore[misc]
        both(Rule.TYPE_CHANGED),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_breaks_what_it_breaks(name: str) -> None:
    (before, now), (backward, forward) = CHANGES[name]
    old, new = schema(before).schema, schema(now).schema
    found = {direction: [c.rule for c in compare(old, new) if c.direction is direction] for direction in Direction}
    assert (set(found[Direction.BACKWARD]), set(found[Direction.FORWARD])) == (backward, forward)


def test_a_mode_asks_its_directions_only() -> None:
    old, new = schema({"a": int}).schema, schema({"b": int}).schema
    assert [c.where for c in compare(old, new, "full")] == ["/b", "/a"]
    assert [c.where for c in compare(old, new, "backward")] == ["/b"]
    assert [c.where for c in compare(old, new, "forward")] == ["/a"]
    assert compare(old, new, "none") == []


def test_every_rule_is_met_in_both_directions() -> None:
    met = {Direction.BACKWARD: set[Rule](), Direction.FORWARD: set[Rule]()}
    for (before, now), _ in CHANGES.values():
        for change in compare(schema(before).schema, schema(now).schema):
            met[change.direction].add(change.rule)
    assert met == {direction: set(Rule) for direction in Direction}


def said(before: Fields, now: Fields) -> list[Change]:
    return compare(schema(before).schema, schema(now).schema)


def test_a_breach_says_what_where_and_what_to_do() -> None:
    (change,) = said({"lines": list[dto({"count": int}, **OPEN)]}, {"lines": list[dto({"count": str}, **OPEN)]})[:1]  # type: ignore[misc]
    assert str(change) == "/lines/*/count: its type is string and was integer: what was emitted before is integer"
    assert change.remedy == "keep its type, or add a field of another name"
    (_, back) = said({"a": (int, field(ge=1))}, {"a": (int, field(ge=2, le=3))})
    assert str(back) == "/a: its maximum is 3 and was 9223372036854775807: what was emitted before may be outside"
    (forward,) = said({"a": Few}, {"a": More})
    assert str(forward) == "/a: values were added: c; whoever reads by the schema of before refuses them"


def test_every_sentence_can_be_said() -> None:
    facts = {"reader": "r", "writer": "w", "values": "v", "bound": "b"}
    for rule in Rule:
        for sentence in rule.value:
            assert "{" not in sentence.format(**facts)


def test_a_struct_that_holds_itself_ends() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {"below": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}, "n": {"type": "integer"}},
    }
    old = {"type": "object", "properties": {"top": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
    other = {**node, "properties": {**node["properties"], "n": {"type": "string"}}}
    new = {**old, "$defs": {"Node": other}}
    assert [(b.where, b.rule) for b in breaches(new, old)] == [("/top/n", Rule.TYPE_CHANGED)]
    assert breaches(old, old) == []


def test_values_of_several_types_are_compared_as_values() -> None:
    few: dict[str, Any] = {"type": "object", "properties": {"it": {"enum": [1, "a", None]}}}
    more: dict[str, Any] = {"type": "object", "properties": {"it": {"enum": [1, "a", "b", None]}}}
    assert [b.rule for b in breaches(few, more)] == [Rule.VALUE_REFUSED]
    assert breaches(more, few) == []
