"""The linear subset of patterns: what is in it, what is not, and that those in it are matched in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mainstay.model.pattern_syntax import MAX_NESTING
from mainstay.model.patterns import MAX_POSITIONS, linear_fault

REAL = {
    "sku": (r"[A-Z0-9-]+", ["A-1", "TEA-GREEN-500"], ["", "a", "A 1"]),
    "slug": (r"[a-z0-9]+(?:-[a-z0-9]+)*", ["a", "green-tea-500"], ["-a", "a--b", "a-"]),
    "phone": (r"\+?[1-9]\d{1,14}", ["+4512345678", "12"], ["+", "0123", "1" * 17]),
    "colour": (r"#(?:[0-9a-fA-F]{3}){1,2}", ["#abc", "#A0b1C2"], ["#ab", "#abcd"]),
    "semver": (
        r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
        r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
        r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
        ["1.0.0", "1.2.3-rc.1+build.5", "0.0.0-0-x"],
        ["1.0", "01.0.0", "1.0.0-01"],
    ),
    "uuid": (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ["0192f0c1-2345-7abc-8def-0123456789ab"],
        ["0192f0c1-2345-7abc-8def-0123456789a"],
    ),
    "date": (r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])", ["2026-11-23"], ["2026-13-01", "2026-1-1"]),
    "postcode GB": (r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}", ["M1 1AA", "EC1A1BB"], ["1AA", "M1 A"]),
    "postcode US": (r"\d{5}(?:-\d{4})?", ["12345", "12345-6789"], ["1234", "12345-"]),
    "label": (r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", ["a", "a-b"], ["-a", "a-"]),
    "iban": (r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", ["DK5000400440116243"], ["DK50"]),
    "country": (r"[A-Z]{2}|[A-Z]{3}", ["DK", "DNK"], ["D", "DNKX"]),
    "octet": (r"25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d", ["0", "255", "31"], ["256", "00"]),
    "anything on a line": (r"[^\n\r]*", ["", "æøå 😀"], ["a\n"]),
    "escapes": (r"\x41\u00e6\t\.\-?".replace(r"\-?", "-?"), ["Aæ\t.", "Aæ\t.-"], ["A"]),
    "lazy": (r"[a-z]+?\d", ["ab1"], ["ab"]),
    "once": (r"a{1}b{1,1}", ["ab"], ["aab"]),
    "nothing": (r"", [""], ["a"]),
    "empty branch": (r"(?:a|b|)", ["", "a"], ["ab"]),
}


@pytest.mark.parametrize("name", REAL)
def test_patterns_of_real_life_are_in_the_subset(name: str) -> None:
    pattern, good, bad = REAL[name]
    assert linear_fault(pattern) is None
    compiled = re.compile(rf"^(?a:{pattern})\Z")
    assert [text for text in good if not compiled.search(text)] == []
    assert [text for text in bad if compiled.search(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"a*a*",
        r"(a|a)*",
        r"(a+)+",
        r"(a*)*",
        r"(a?)*",
        r"(a*)?",
        r"(?:a|b|ab)*",
        r"(?:a+b?)+",
        r"(?:(?:a+)?b?)+",
        r"(?:a?){30}a{30}",
        r"(?:a|a|)(?:|)",
        r"[a-z]+[a-z0-9]+",
        r"\d+\d+",
        r"\w+\d+",
        r"[^@]+@[^@]+\.[^@]+",
        r"([a-z]+,?)+",
        r"(?:[a-z]+ ?)*",
        r"(x+x+)+y",
        r"(.*)*".replace(".", r"[^\n]"),
        r"(?:a{1,3}){1,3}",
    ],
)
def test_a_pattern_that_may_match_in_two_ways_is_refused(pattern: str) -> None:
    assert linear_fault(pattern) is not None


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(a)\1", "back-reference"),
        (r"\k<a>", "back-reference"),
        (r"(?=a)a", "look-around"),
        (r"(?!a)b", "look-around"),
        (r"(?<=a)b", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?P<x>a)", "no names, flags or atomic groups"),
        (r"(?i)a", "no names, flags or atomic groups"),
        (r"(?>a)", "no names, flags or atomic groups"),
        (r"a*+", "a quantifier stands on a quantifier"),
        (r"a{2}{3}", "a quantifier stands on a quantifier"),
        (r"*a", "nothing to repeat"),
        (r"^a", "leave ^ out"),
        (r"a$", "leave $ out"),
        (r"a\Z", "leave the anchor out"),
        (r"a\b", "word boundary"),
        (r".", r"[^\n\r]"),
        (r"\s", r"[ \t]"),
        (r"\p{L}", "no escape of the subset"),
        (r"\-", "write the character without"),
        ("\\", "no escape of the subset"),
        (r"\xg0", "hexadecimal"),
        (r"\u12", "hexadecimal"),
        (r"\ud800", "surrogate"),
        (r"a{,3}", "{n}, {n,} or {n,m}"),
        (r"a{1", "{n}, {n,} or {n,m}"),
        (r"a{99999}", "{n}, {n,} or {n,m}"),
        (r"a{3,1}", "ends before it begins"),
        (r"{", r"write \{"),
        (r"}", r"write \}"),
        (r"]", r"write \]"),
        (r"(a", "not closed"),
        (r"a)", "closes nothing"),
        (r"[a", "not closed"),
        (r"[]a]", r"write \] for the character in a class"),
        (r"[[a]", r"write \[ for the character in a class"),
        (r"[a&&b]", "set operations"),
        (r"[z-a]", "ends before it begins"),
        (r"[\d-z]", "a range is from one character to another"),
        (r"[^\d\D]", "no character"),
        (r"a{1001}", "max_length="),
        ("(" * (MAX_NESTING + 1) + "a" + ")" * (MAX_NESTING + 1), "nested"),
    ],
)
def test_what_is_not_in_the_subset_is_refused_with_what_to_write(pattern: str, says: str) -> None:
    fault = linear_fault(pattern)
    assert fault is not None
    assert says in fault


def test_an_intricate_pattern_is_refused_in_bounded_time() -> None:
    assert linear_fault("a*a{150}b") is None
    patterns = ["a*a{300}b", "(?:a{1,500}){1,500}", "(?:a|[ab]c{0,300}d){0,300}", "(?:(?:(?:a{9}){9}){9}){9}"]
    started = time.perf_counter()
    faults = [linear_fault(pattern) for pattern in patterns]
    assert None not in faults
    assert time.perf_counter() - started < 5
    assert linear_fault(f"a{{{MAX_POSITIONS - 1}}}") is None


def _atoms() -> st.SearchStrategy[str]:
    return st.sampled_from(["a", "b", "c", "[ab]", "[bc]", "[^a]", r"\d", "-"])


PATTERNS = st.recursive(
    _atoms(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "{1,}"])).map(lambda t: f"(?:{t[0]}){t[1]}"),
    ),
    max_leaves=8,
)


class _Steps:
    """Count the states that a backtracking matcher enters, by running the pattern on its own naive matcher."""

    def __init__(self, pattern: str, bound: int) -> None:
        from mainstay.model.pattern_syntax import Parser

        self.count = 0
        self.bound = bound
        self.root = Parser(pattern).parse()

    def run(self, text: str) -> int:
        self.count = 0
        self._text = text
        self._match(self.root, 0, lambda at: at == len(text))
        return self.count

    def _match(self, node, at, then) -> bool:
        from mainstay.model.pattern_syntax import Chars, Choice, Sequence

        if self.count > self.bound:
            return True
        if isinstance(node, Chars):
            self.count += 1
            fits = at < len(self._text) and any(a <= ord(self._text[at]) <= b for a, b in node.ranges)
            return fits and then(at + 1)
        if isinstance(node, Choice):
            return any(self._match(branch, at, then) for branch in node.branches)
        if isinstance(node, Sequence):
            return self._sequence(node.parts, 0, at, then)
        return self._repeat(node, 0, at, then)

    def _sequence(self, parts, index, at, then) -> bool:
        if index == len(parts):
            return then(at)
        return self._match(parts[index], at, lambda on: self._sequence(parts, index + 1, on, then))

    def _repeat(self, node, times, at, then) -> bool:
        more = node.high is None or times < node.high
        if more and self._match(node.body, at, lambda on: on > at and self._repeat(node, times + 1, on, then)):
            return True
        return times >= node.low and then(at)


@given(PATTERNS, st.text("abc-1", min_size=1, max_size=3), st.text("abc-1!", max_size=3))
@settings(max_examples=300, deadline=None)
def test_the_steps_of_an_accepted_pattern_grow_with_the_length_of_the_text(pattern: str, pump: str, end: str) -> None:
    assume(linear_fault(pattern) is None)
    steps = _Steps(pattern, 200_000)
    short, long = (steps.run(pump * times + end + "!") for times in (20, 40))
    assert long <= 200_000
    assert long <= 2.5 * short + 50


def test_the_steps_of_refused_patterns_do_explode() -> None:
    """The measure above can fail: on patterns that are refused it does."""
    assert _Steps("(?:a+)+", 200_000).run("a" * 40 + "!") > 200_000
    steps = _Steps("a*a*a*", 10_000_000)
    assert steps.run("a" * 40 + "!") > 5 * steps.run("a" * 20 + "!")


@given(PATTERNS)
@settings(max_examples=300, deadline=None)
def test_every_verdict_is_given_and_what_is_accepted_compiles(pattern: str) -> None:
    if linear_fault(pattern) is None:
        re.compile(rf"^(?a:{pattern})\Z")


@pytest.mark.parametrize("name", REAL)
def test_python_matches_a_long_text_at_once(name: str) -> None:
    pattern, good, _ = REAL[name]
    compiled = re.compile(rf"^(?a:{pattern})\Z")
    started = time.perf_counter()
    for text in good:
        compiled.search((text or "a") * 20_000 + "\n")
    assert time.perf_counter() - started < 2
