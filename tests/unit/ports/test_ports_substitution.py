"""A condition on rows as they will be, told by rows as they are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.model.conditions import FALSE, TRUE, Compare, CompareFields, Condition, all_of, any_of, holds
from mainstay.ports.substitution import after_change
from mainstay.testing.conformance.model import Item
from mainstay.testing.conformance.random_operations import CHANGES, CONDITIONS, ROWS

OPS = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])
TEXTS = st.sampled_from(["name", "bin"])
PAIRS = st.builds(CompareFields, TEXTS, OPS, TEXTS)
BOTH = st.one_of(
    CONDITIONS,
    PAIRS,
    PAIRS.map(lambda pair: ~pair),
    st.tuples(CONDITIONS, PAIRS).map(lambda two: all_of(*two)),
    st.tuples(CONDITIONS, PAIRS).map(lambda two: any_of(*two)),
)


@given(condition=BOTH, values=ROWS, changes=CHANGES)
def test_it_holds_of_the_row_now_as_the_condition_will_of_the_changed_row(
    condition: Condition, values: dict[str, Any], changes: dict[str, Any]
) -> None:
    row = Item(id=UUID(int=1), **values)
    told = holds(after_change(condition, changes), row)
    assert told == holds(condition, msgspec.structs.replace(row, **changes))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (all_of(bin="a"), TRUE),
        (all_of(bin="b"), FALSE),
        (CompareFields("bin", "eq", "bin"), TRUE),
        (CompareFields("name", "gt", "amount"), FALSE),
        (CompareFields("bin", "lt", "name"), Compare("name", "gt", "a")),
        (CompareFields("name", "ge", "bin"), Compare("name", "ge", "a")),
        (all_of(name="n"), all_of(name="n")),
        (TRUE, TRUE),
    ],
    ids=repr,
)
def test_what_the_change_decides_is_decided(condition: Condition, expected: Condition) -> None:
    assert after_change(condition, {"bin": "a", "amount": None}) == expected
