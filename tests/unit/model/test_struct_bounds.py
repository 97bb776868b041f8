"""Bounds of fields as msgspec checks them: those of ``field(...)`` and those of the annotation, put into one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from mainstay.model.fields import FieldSpec, field
from mainstay.model.schema import attribute_of
from mainstay.model.structs import Dto, Event, bounded
from mainstay.model.values import Email


def accepts(annotation: Any, text: str) -> bool:
    try:
        msgspec.json.decode(text, type=annotation)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("annotation", "spec", "good", "bad"),
    [
        (int, {}, ["9223372036854775807"], ["9223372036854775808", "-9223372036854775809"]),
        (int, {"ge": 1, "lt": 3}, ["1", "2"], ["0", "3"]),
        (int, {"gt": 1, "le": 3}, ["2", "3"], ["1", "4"]),
        (Annotated[int, msgspec.Meta(ge=3)], {"ge": 1}, ["3"], ["2", "9223372036854775808"]),
        (Annotated[int, msgspec.Meta(ge=3)], {"gt": 3, "le": 9}, ["4"], ["3", "10"]),
        (Annotated[int, msgspec.Meta(gt=3)], {"ge": 5}, ["5"], ["4"]),
        (Annotated[int, msgspec.Meta(lt=9)], {"le": 20}, ["8"], ["9"]),
        (Annotated[int, msgspec.Meta(lt=9)], {"le": 5}, ["5"], ["6"]),
        (Annotated[int, msgspec.Meta(multiple_of=2)], {}, ["4"], ["5"]),
        (float, {"gt": 0, "le": 1}, ["1"], ["0", "1.5"]),
        (str, {"pattern": "[a-z]+", "max_length": 2}, ['"ab"'], ['"abc"', '"A"', '"a\\n"', '""']),
        (str, {"pattern": r"\d"}, ['"5"'], ['"٣"']),
        (Email, {"max_length": 12}, ['"a@b.example"'], ['"ab@b.example.org"', '"a"']),
        (Email, {"pattern": r"[a-z@.]+"}, ['"a@b.example"'], ['"A@b.example"', '"abc"']),
        (str | None, {"min_length": 1}, ["null", '"a"'], ['""']),
        (list[int], {"max_length": 1}, ["[1]"], ["[1,2]", "[9223372036854775808]"]),
        (dict[str, int], {"min_length": 1}, ['{"a":1}'], ["{}", '{"a":9223372036854775808}']),
        (tuple[int, ...], {}, ["[1,2]"], ["[9223372036854775808]"]),
        (list[Annotated[int, msgspec.Meta(ge=5)]], {}, ["[5]"], ["[4]"]),
    ],
)
def test_bounds_are_those_of_both(annotation: Any, spec: dict[str, Any], good: list[str], bad: list[str]) -> None:
    made = bounded(annotation, FieldSpec(**spec))
    assert [text for text in good if not accepts(made, text)] == []
    assert [text for text in bad if accepts(made, text)] == []


class Grown(Event):
    a: int


class GrownMore(Grown):
    b: int = field(default=1)


class Strict(Dto):
    a: int


class Loose(Strict, unknown="ignore"):
    pass


class Looser(Loose):
    pass


@pytest.mark.parametrize(
    ("struct", "ignores"), [(Grown, True), (GrownMore, True), (Strict, False), (Loose, True), (Looser, True)]
)
def test_unknown_fields_are_ignored_where_the_class_or_its_base_says_so(struct: Any, ignores: bool) -> None:
    assert accepts(struct, '{"a":1,"zz":2}') is ignores


def test_a_tuple_of_several_types_is_no_type_of_the_model() -> None:
    with pytest.raises(TypeError, match="name them in a Dto"):
        attribute_of("pair", tuple[int, str])
    assert attribute_of("row", tuple[int, ...]).items is not None
