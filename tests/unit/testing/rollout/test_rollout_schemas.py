"""The judge of values agrees with a full validator of JSON Schema, on all keywords that contracts use."""

from __future__ import annotations

from typing import Any

import pytest
from contracts import contract_bytes
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from kinds_sample import module
from msgspec import json

from mainstay import Service
from mainstay.testing.rollout.schemas import CHECKS, Judge

ANNOTATIONS = {
    *("title", "description", "default", "examples", "readOnly", "writeOnly", "format", "deprecated"),
    *("contentEncoding", "contentMediaType"),
}
scalars = st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from([0.5, 2.0, "", "a", "ab", "abc", "1", "a\n"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
bounds = st.integers(0, 3)
leaves: Any = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
        | st.lists(st.sampled_from(["null", "integer", "string"]), min_size=1, max_size=2, unique=True),
        "enum": st.lists(st.sampled_from([None, 1, "a", "ab", 2.5]), min_size=1, max_size=3),
        "pattern": st.sampled_from(["^a", "^a+$", "b$", "^[a-c]{2}$"]),
        **{name: bounds for name in ("minLength", "maxLength", "minItems", "maxItems")},
        **{name: bounds for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")},
        "multipleOf": st.integers(1, 3),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    },
)
schemas: Any = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "$ref": st.just("#/components/schemas/Part"),
        },
    ),
    max_leaves=5,
)
PART = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def mixes_booleans(value: Any) -> bool:
    """Python takes true for 1 in an enum and in unique items; JSON does not."""
    return any(isinstance(one, bool) for one in _walked(value))


def _walked(value: Any) -> list[Any]:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(found for one in inner for found in _walked(one))]


@given(schemas, values)
def test_the_judge_agrees_with_a_full_validator(schema: dict[str, Any], value: Any) -> None:
    if mixes_booleans(value) and ("enum" in str(schema) or "unique" in str(schema)):
        return
    full = Draft202012Validator({**schema, "components": {"schemas": {"Part": PART}}})
    found = Judge({"Part": PART}).fault(schema, value)
    # In ECMA 262 and here $ is the end; the other validator takes Python's, which is before a last line break too.
    if "\n" not in str(_walked(value)).replace("\\n", "\n"):
        assert (found is None) == full.is_valid(value), (found, schema, value)


def test_every_keyword_of_contracts_has_a_check() -> None:
    told = json.decode(contract_bytes(Service("kinds", modules=[module])))
    used = _keywords(told["components"]["schemas"].values())
    assert used <= {*CHECKS, *ANNOTATIONS}
    assert {"pattern", "anyOf", "enum", "minimum"} <= used


def _keywords(schemas: Any) -> set[str]:
    found: set[str] = set()
    for schema in schemas:
        found |= schema.keys()
        below = [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
        below += [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("allOf", ())]
        found |= _keywords(below)
    return found


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "string"}, 4, "/ is no string"),
        ({"type": ["string", "null"]}, 4, "/ is no string or null"),
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": ["x", 1]}, "/a/1 is no string"),
        ({"required": ["a"]}, {}, "/a is missing"),
        ({"additionalProperties": False}, {"b": 1}, "/b is in no contract"),
        ({"pattern": "^a$"}, "a\n", "/ does not match ^a$"),
    ],
)
def test_a_fault_names_its_place(schema: dict[str, Any], value: Any, fault: str) -> None:
    assert Judge({}).fault(schema, value) == fault
