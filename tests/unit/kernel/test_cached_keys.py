"""The keys that a cache knows an answer by: of each row that is shown, as deep as is looked."""

from __future__ import annotations

from uuid import UUID

from mainstay import Entity, Page
from mainstay.kernel.render.cached import _keys


class Leaf(Entity):
    name: str


def test_rows_are_named_as_deep_as_is_looked() -> None:
    leaf = Leaf(id=UUID(int=1), name="a")
    named = ["leaf", f"leaf/{UUID(int=1)}"]
    assert list(_keys(Page(items=[leaf]), 1)) == named
    assert list(_keys([leaf, "text", 5], 0)) == named
    assert list(_keys(leaf, -1)) == []
