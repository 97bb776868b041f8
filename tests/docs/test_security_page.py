"""The page of security names tests that are there, and every item of the standard at levels 1 and 2."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CONFORMANCE = TESTS.parent / "src/mainstay/testing/conformance"
PAGE = (TESTS.parent / "docs/security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`((?:unit|scenario|conformance|deliver|drill|docs)/[^`]+)`", PAGE)))
CHAPTERS = {
    1: 27,
    2: 11,
    3: 19,
    4: 10,
    5: 9,
    6: 35,
    7: 18,
    8: 7,
    9: 7,
    10: 29,
    11: 14,
    12: 9,
    13: 13,
    14: 9,
    15: 13,
    16: 16,
}
"""How many items of each chapter ASVS 5.0.0 has at levels 1 and 2."""


@cache
def functions(folder: Path) -> set[str]:
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    return {n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert (TESTS / file).exists(), name
    assert not function or function in functions(TESTS / file) | functions(CONFORMANCE), name


def test_every_item_of_the_standard_is_on_the_page_once() -> None:
    numbers = [number for number, _, _, _ in ROWS]
    assert [number for number, count in Counter(numbers).items() if count > 1] == []
    assert Counter(int(number.partition(".")[0]) for number in numbers) == CHAPTERS
    assert len(ROWS) == sum(CHAPTERS.values()) == len(re.findall(r"^\| \d+\.\d+\.\d+ \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize(("number", "by"), [(number, by) for number, _, _, by in ROWS])
def test_an_item_is_shown_or_said_to_be_somebodys(number: str, by: str) -> None:
    assert "`" in by or by.startswith(("team", "none")), number
    assert "*" not in by, "a test, the team, or nobody"


def test_the_ten_risks_are_on_the_page() -> None:
    assert re.findall(r"^\| (API\d+) \|", PAGE, re.MULTILINE) == [f"API{number}" for number in range(1, 11)]
