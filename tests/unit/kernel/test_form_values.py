"""Fields of forms: texts, and what stands in them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mainstay import Dto
from mainstay.kernel.validate.uploads import _value
from mainstay.model.schema import attribute_of


class Point(Dto):
    x: int


@pytest.mark.parametrize(
    ("annotation", "text", "made"),
    [
        (str, "5", "5"),
        (int, "5", msgspec.Raw(b"5")),
        (int, "five", "five"),
        (float, "5e1", msgspec.Raw(b"5e1")),
        (int | None, "", None),
        (bool, "on", True),
        (bool, "perhaps", "perhaps"),
        (Point, '{"x": 1}', msgspec.Raw(b'{"x": 1}')),
        (Point, '{"x"', '{"x"'),
        (dict[str, int], "{}", msgspec.Raw(b"{}")),
    ],
)
def test_a_text_becomes_what_it_stands_for(annotation: Any, text: str, made: Any) -> None:
    found = _value(attribute_of("field", annotation), text)
    assert msgspec.json.encode(found) == msgspec.json.encode(made)
