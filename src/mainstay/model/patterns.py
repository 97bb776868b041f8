r"""Patterns of strings: a subset of regular expressions that matches in linear time and means the same everywhere.

The subset is what Python's ``re`` and ECMA-262 with the ``u`` flag (so JSON Schema) read alike, for a pattern that is
matched against the whole string::

    pattern    = branch *( "|" branch )
    branch     = *( atom [ quantifier ] )
    atom       = literal / escape / class / "(" pattern ")" / "(?:" pattern ")"
    quantifier = ( "*" / "+" / "?" / "{n}" / "{n,}" / "{n,m}" ) [ "?" ]
    class      = "[" [ "^" ] 1*( character / character "-" character / "\d" / "\w" / "\D" / "\W" ) "]"
    escape     = "\d" / "\w" / "\D" / "\W" (of ASCII) / "\t" / "\n" / "\r" / "\f" / "\v" / "\xHH" / "\uHHHH"
               / "\" and a character of syntax

Linear is proven, not guessed. The pattern is made into its position automaton (Glushkov 1961), with bounded repetitions
written out. It is refused where a word can reach one state by two runs (looked for in the product of the automaton with
itself) or where one step of a run has two derivations (Brueggemann-Klein 1993, strong unambiguity). Then a backtracking
matcher visits each pair of state and place in the text once at most: its steps are bounded by states times length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mainstay.model.pattern_syntax import Chars, Choice, Node, Parser, Ranges, Refused, Repeat, Sequence

MAX_POSITIONS = 1000
"""How many characters a pattern may have when its bounded repetitions are written out."""
_MAX_PAIRS = 20_000


def linear_fault(pattern: str) -> str | None:
    """Return None for a pattern of the linear subset, else why it is none and what to write instead.

    The pattern is one that is matched against the whole string, as ``field(pattern=...)`` is.
    """
    try:
        root = Parser(pattern).parse()
        _prove(_Automaton(root))
    except Refused as refused:
        return str(refused)
    return None


class _Part(NamedTuple):
    """What the automaton must know of a part: whether it matches nothing, and where its words begin and end."""

    nullable: bool
    first: tuple[int, ...]
    last: tuple[int, ...]


_START, _END = 0, 1


class _Automaton:
    """The position automaton: a state for each character of the pattern, one to start from and one for the end."""

    def __init__(self, root: Node) -> None:
        self.ranges: list[Ranges] = [(), ((-1, -1),)]  # the end of the text is a character of its own
        self.origin: list[int] = [0, 0]
        self.follow: list[list[int]] = [[], []]
        self._edges: set[tuple[int, int]] = set()
        whole = self._part(root)
        self._join((_START,), whole.first)
        self._join(whole.last, (_END,))
        if whole.nullable:
            self._join((_START,), (_END,))

    def _part(self, node: Node) -> _Part:
        if isinstance(node, Chars):
            return self._position(node)
        if isinstance(node, Sequence):
            result = _Part(True, (), ())
            for part in node.parts:
                result = self._then(result, self._part(part))
            return result
        if isinstance(node, Choice):
            return self._choice(node)
        return self._repeat(node)

    def _position(self, node: Chars) -> _Part:
        state = len(self.ranges)
        if state > MAX_POSITIONS:
            raise Refused(f"with its repetitions written out it has more than {MAX_POSITIONS} characters: bound the "
                           "length with max_length= and let the pattern repeat with * or +")  # fmt: skip
        self.ranges.append(node.ranges)
        self.origin.append(node.at)
        self.follow.append([])
        return _Part(False, (state,), (state,))

    def _then(self, left: _Part, right: _Part) -> _Part:
        self._join(left.last, right.first)
        first = left.first + right.first if left.nullable else left.first
        last = left.last + right.last if right.nullable else right.last
        return _Part(left.nullable and right.nullable, first, last)

    def _choice(self, node: Choice) -> _Part:
        parts = [self._part(branch) for branch in node.branches]
        if sum(part.nullable for part in parts) > 1:
            raise Refused("two branches of one choice match the empty string: keep one such branch")
        first = tuple(state for part in parts for state in part.first)
        last = tuple(state for part in parts for state in part.last)
        return _Part(any(part.nullable for part in parts), first, last)

    def _repeat(self, node: Repeat) -> _Part:
        result = _Part(True, (), ())
        tail: _Part | None = None
        if node.high is None:
            tail = self._once(node)
            self._join(tail.last, tail.first)
            if node.low == 0:
                tail = tail._replace(nullable=True)
        for _ in range((node.high or 0) - node.low):
            once = self._once(node)
            tail = (once if tail is None else self._then(once, tail))._replace(nullable=True)
        for _ in range(node.low - (node.high is None and node.low > 0)):
            result = self._then(result, self._once(node))
        return result if tail is None else self._then(result, tail)

    def _once(self, node: Repeat) -> _Part:
        part = self._part(node.body)
        if part.nullable:
            raise Refused(f"at character {node.at + 1}: what is repeated can match the empty string, so that it can "
                           "match in many ways: make one of its parts required")  # fmt: skip
        return part

    def _join(self, ends: tuple[int, ...], begins: tuple[int, ...]) -> None:
        for end in ends:
            for begin in begins:
                if (end, begin) in self._edges:
                    raise _ambiguous(self.origin[end], self.origin[begin])
                self._edges.add((end, begin))
                self.follow[end].append(begin)


def _ambiguous(one: int, other: int) -> Refused:
    if one == other:
        return Refused(
            f"what is repeated at character {one + 1} can split one text in several ways: keep one repetition of it, "
            "or begin each round with a character that it does not match"
        )
    where = f"what stands at characters {min(one, other) + 1} and {max(one, other) + 1} can match the same text"
    return Refused(f"{where} in two ways: merge the two, or part them by a character that neither matches")


def _prove(automaton: _Automaton) -> None:
    """Refuse an automaton in which two different runs over one word reach the same state."""
    follow, origin = automaton.follow, automaton.origin
    seen: set[tuple[int, int]] = set()
    pending: list[tuple[int, int]] = []
    for targets in follow:
        pending.extend(_overlapping(automaton, targets, targets))
    while pending:
        pair = pending.pop()
        if pair in seen:
            continue
        seen.add(pair)
        if len(seen) > _MAX_PAIRS:
            raise Refused("it is too intricate to be proven linear: write it simpler, with fewer overlapping parts")
        left, right = pair
        pending.extend(_overlapping(automaton, follow[left], follow[right]))
        if not set(follow[left]).isdisjoint(follow[right]):
            raise _ambiguous(origin[left], origin[right])


def _overlapping(automaton: _Automaton, left: list[int], right: list[int]) -> Iterator[tuple[int, int]]:
    """Walk the pairs of different states that one character leads to."""
    ranges = automaton.ranges
    for one in left:
        for other in right:
            if one < other and _meet(ranges[one], ranges[other]):
                yield one, other
            elif left is not right and other < one and _meet(ranges[one], ranges[other]):
                yield other, one


def _meet(left: Ranges, right: Ranges) -> bool:
    return any(a <= d and c <= b for a, b in left for c, d in right)
