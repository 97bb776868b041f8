"""Searches as conditions: told apart by their shape, walked as others, and true of the same rows in memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mainstay import search
from mainstay.model.conditions import FALSE, AllOf, HasWord, Search, fields, having, holds, key, values
from mainstay.ports.selection import predicate

BOTH = ("name", "text")


def row(name: str | None, text: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, text=text)


def test_a_search_has_the_words_of_its_text() -> None:
    assert search("Green TEA!", "name") == Search(("green", "tea"), ("name",))
    assert search("?") == Search((), ())
    assert list(fields(search("x", "name", "text"))) == ["name", "text"]
    assert list(fields(search("x"))) == ["search"]  # of an entity that has nothing searchable: no such field


def test_every_word_is_looked_for_in_all_fields() -> None:
    assert having(("a",), BOTH) == HasWord(BOTH, "a")
    assert having(("a", "b"), ("name",)) == AllOf((HasWord(("name",), "a"), HasWord(("name",), "b")))
    assert having((), BOTH) is FALSE
    assert having(("a",), ()) is FALSE


def test_shape_and_values() -> None:
    one, other = having(("a", "b"), BOTH), having(("c", "d"), BOTH)
    assert key(one) == key(other) != key(having(("a",), BOTH))
    assert key(HasWord(("name",), "a")) != key(HasWord(BOTH, "a"))
    assert list(values(one)) == [("name", "a"), ("name", "b")]
    assert list(fields(one)) == [*BOTH, *BOTH]


@pytest.mark.parametrize(
    ("text", "found"),
    [("green", True), ("gre TE", True), ("reen", False), ("hills green", True), ("hills blue", False), ("", False)],
)
def test_it_is_true_of_rows_with_words_that_begin_so(text: str, found: bool) -> None:
    wanted = search(text)
    assert isinstance(wanted, Search)
    condition = having(wanted.words, BOTH)
    held = row("Green Tea", "from the hills")
    assert (holds(condition, held), predicate(condition)(held)) == (found, found)


def test_a_null_has_no_words() -> None:
    condition = HasWord(BOTH, "a")
    assert not holds(condition, row(None))
    assert holds(~condition, row(None))
    assert holds(condition, row(None, "a"))
