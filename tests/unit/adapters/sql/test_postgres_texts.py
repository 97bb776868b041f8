"""Texts with U+0000, which PostgreSQL cannot hold: they keep their place in the order all the same."""

from __future__ import annotations

import operator
from itertools import product

import pytest

from mainstay.adapters.sql.dialects import PostgresDialect
from mainstay.adapters.sql.operands import Off, holds_off, operands
from mainstay.model.conditions import OPERATORS
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity


class Named(Entity):
    name: str


STORED = ["", "a", "a\x01", "ab", "b", "\x01"]
ASKED = ["\x00", "a\x00", "a\x00b", "a\x00\x01", "ab\x00", "b"]


@pytest.mark.parametrize(("op", "asked"), list(product(OPERATORS, ASKED)))
def test_the_answer_is_that_of_python(op: str, asked: str) -> None:
    (attribute,) = (each for each in shape_of(Named).attributes if each.name == "name")
    dialect = PostgresDialect()
    bound = operands(attribute, dialect.exact(attribute), dialect.fit(attribute))[op](asked)
    for stored in STORED:
        found = holds_off(op, bound) if isinstance(bound, Off) else getattr(operator, op)(stored, bound)
        assert found == OPERATORS[op](stored, asked), (stored, bound)
    assert isinstance(bound, Off) or "\x00" not in bound
