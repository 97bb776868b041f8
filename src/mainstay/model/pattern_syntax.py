"""The syntax of patterns: a parser of the subset that ``model/patterns.py`` describes."""

from __future__ import annotations

from typing import NamedTuple

MAX_NESTING = 20
"""How deep groups may be nested."""
_TOP = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]

_DIGITS: Ranges = ((48, 57),)
_WORDS: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_SYNTAX = frozenset(r"^$\.*+?()[]{}|/")
_REFUSED_ESCAPES = {
    "b": "a word boundary looks around; name the characters instead",
    "B": "a word boundary looks around; name the characters instead",
    "s": r"\s is other characters in Python than in JavaScript; write them, such as [ \t]",
    "S": r"\S is other characters in Python than in JavaScript; write a class, such as [^ \t\n\r]",
    "A": "the pattern is matched against the whole string: leave the anchor out",
    "Z": "the pattern is matched against the whole string: leave the anchor out",
    "k": "a back-reference cannot be matched in linear time; check such a rule in the use case",
}


class Refused(Exception):
    """The pattern is out of the subset; the text says why and what to write."""


class Chars(NamedTuple):
    at: int
    ranges: Ranges


class Sequence(NamedTuple):
    parts: tuple[Node, ...]


class Choice(NamedTuple):
    branches: tuple[Node, ...]


class Repeat(NamedTuple):
    at: int
    body: Node
    low: int
    high: int | None


Node = Chars | Sequence | Choice | Repeat


def _complement(ranges: Ranges) -> Ranges:
    result = []
    start = 0
    for low, high in _merged(ranges):
        if low > start:
            result.append((start, low - 1))
        start = high + 1
    if start <= _TOP:
        result.append((start, _TOP))
    return tuple(result)


def _one(point: int) -> Ranges:
    return ((point, point),)


def _merged(ranges: Ranges) -> Ranges:
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


_CLASSES = {"d": _DIGITS, "w": _WORDS, "D": _complement(_DIGITS), "W": _complement(_WORDS)}


class Parser:
    """A recursive descent over the grammar above."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise self._refused("a ) closes nothing; write \\) for the character")
        return node

    def _refused(self, why: str) -> Refused:
        return Refused(f"at character {self._at + 1}: {why}")

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _choice(self) -> Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            at = self._at
            parts.append(self._quantified(at, self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Node:
        character = self._peek()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        at = self._at
        if character == "\\":
            return Chars(at, self._escape(in_class=False))
        if character == ".":
            raise self._refused(". is other characters in Python than in JavaScript; write a class, such as [^\\n\\r]")
        if character in "^$":
            raise self._refused(f"the pattern is matched against the whole string: leave {character} out")
        if character in "*+?":
            raise self._refused(f"{character} has nothing to repeat; write \\{character} for the character")
        if character in "{}]":
            raise self._refused(f"write \\{character} for the character {character}")
        self._at += 1
        return Chars(at, _one(ord(character)))

    def _group(self) -> Node:
        self._at += 1
        if self._peek() == "?":
            self._kind_of_group()
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._refused(f"groups are nested more than {MAX_NESTING} deep")
        node = self._choice()
        if self._peek() != ")":
            raise self._refused("a ( is not closed; write \\( for the character")
        self._at += 1
        self._depth -= 1
        return node

    def _kind_of_group(self) -> None:
        if self._peek(2) == "?:":
            self._at += 2
            return
        if self._peek(2) in ("?=", "?!") or self._peek(3) in ("?<=", "?<!"):
            raise self._refused("look-around is not in the subset; split the rule, or check it in the use case")
        raise self._refused("of groups only ( ) and (?: ) are in the subset: no names, flags or atomic groups")

    def _quantified(self, at: int, atom: Node) -> Node:
        low, high = self._quantifier()
        if (low, high) == (1, 1):
            return atom
        if self._peek() == "?":  # a lazy quantifier matches the same strings
            self._at += 1
        if self._peek() in ("*", "+", "?") or self._peek() == "{":
            raise self._refused("a quantifier stands on a quantifier; keep one of them")
        return Repeat(at, atom, low, high)

    def _quantifier(self) -> tuple[int, int | None]:
        character = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if character in simple:
            self._at += 1
            return simple[character]
        if character != "{":
            return 1, 1
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not _is_count(low) or (high and not _is_count(high)):
            raise self._refused("a repetition is {n}, {n,} or {n,m}; write \\{ for the character")
        least = int(low)
        most = int(high) if high else None if comma else least
        if most is not None and most < least:
            raise self._refused(f"the repetition {{{least},{most}}} ends before it begins")
        self._at = end + 1
        if (least, most) == (1, 1):
            return 1, 1
        return least, most

    def _escape(self, *, in_class: bool) -> Ranges:
        letter = self._text[self._at + 1 : self._at + 2]
        if letter in _CLASSES and letter:
            self._at += 2
            return _CLASSES[letter]
        if letter in _CONTROLS and letter:
            self._at += 2
            return _one(_CONTROLS[letter])
        if letter in ("x", "u") and letter:
            return self._code(2 if letter == "x" else 4)
        if letter and (letter in _SYNTAX or (in_class and letter == "-")):
            self._at += 2
            return _one(ord(letter))
        if letter.isdigit():
            raise self._refused("a back-reference cannot be matched in linear time; check such a rule in the use case")
        why = _REFUSED_ESCAPES.get(letter, f"\\{letter} is no escape of the subset; write the character without \\")
        raise self._refused(why)

    def _code(self, length: int) -> Ranges:
        digits = self._text[self._at + 2 : self._at + 2 + length]
        if len(digits) != length or any(d not in "0123456789abcdefABCDEF" for d in digits):
            raise self._refused("write \\xHH or \\uHHHH, with hexadecimal digits")
        point = int(digits, 16)
        if 0xD800 <= point <= 0xDFFF:
            raise self._refused("a surrogate is no character; write the character itself")
        self._at += 2 + length
        return _one(point)

    def _class(self) -> Chars:
        at = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        found: list[tuple[int, int]] = []
        while self._peek() != "]" or not found:
            found.extend(self._class_part())
        self._at += 1
        ranges = _merged(tuple(found))
        if negated:
            ranges = _complement(ranges)
        if not ranges:
            raise self._refused("the class has no character")
        return Chars(at, ranges)

    def _class_part(self) -> Ranges:
        low = self._class_character()
        if self._peek() != "-" or self._peek(2) in ("-]", "-"):
            return low
        self._at += 1
        high = self._class_character()
        if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
            raise self._refused("a range is from one character to another; write \\- for the character")
        if high[0][0] < low[0][0]:
            raise self._refused("the range ends before it begins")
        return ((low[0][0], high[0][0]),)

    def _class_character(self) -> Ranges:
        character = self._peek()
        if character == "":
            raise self._refused("a [ is not closed; write \\[ for the character")
        if character in ("[", "]"):
            raise self._refused(f"write \\{character} for the character in a class")
        if character in "-&|~" and self._peek(2) == character * 2:
            raise self._refused(f"{character * 2} is kept for set operations; name the character once")
        if character == "\\":
            return self._escape(in_class=True)
        self._at += 1
        return _one(ord(character))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
