"""Texts that match a pattern, by number: as many different ones as the pattern allows."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence

from mainstay.model.pattern_syntax import Chars, Choice, Node, Parser, Repeat
from mainstay.model.pattern_syntax import Sequence as Parts

_PLAIN = frozenset(string.ascii_letters + string.digits)
_MORE = 8  # characters beyond the least, where a repetition is open
_GOLDEN = 618_033_988_749_894_848  # of 10^18: steps of this part of the whole lie far apart


class Patterned:
    """The texts of a pattern of between ``least`` and ``most`` characters.

    Raises ``ValueError`` where it finds none.
    """

    def __init__(self, pattern: str, least: int = 0, most: int | None = None) -> None:
        root = Parser(pattern).parse()
        found = None
        for more in (*range(_MORE, -1, -1), least):
            slots = _slots(root, more)
            if least <= len(slots) and (most is None or len(slots) <= most):
                found = slots
                break
        if found is None or re.fullmatch(pattern, "".join(slot[0] for slot in found)) is None:
            raise ValueError(f"no text was found that matches {pattern}")
        self._slots = found
        self.capacity: int = math.prod(len(slot) for slot in found)
        self._step = _step(self.capacity)

    def text(self, number: int) -> str:
        """Return a text; numbers below the capacity give different ones."""
        left = number * self._step % self.capacity
        made = []
        for slot in self._slots:
            left, place = divmod(left, len(slot))
            made.append(slot[place])
        return "".join(made)


def _step(capacity: int) -> int:
    """Return a step that comes by every number below the capacity, so that texts in a row are not alike."""
    step = capacity * _GOLDEN // 10**18 | 1
    while math.gcd(step, capacity) != 1:
        step += 2
    return step


def _slots(node: Node, more: int) -> Sequence[str]:
    """Return the characters that may stand at each place, in one of the forms that a part of a pattern has."""
    match node:
        case Chars(_, ranges):
            return [_characters(ranges)]
        case Parts(parts):
            return [slot for part in parts for slot in _slots(part, more)]
        case Choice(branches):
            forms = [_slots(branch, more) for branch in branches]
            return max(forms, key=lambda form: math.prod(map(len, form)))
        case Repeat(_, body, low, high):
            times = low + more if high is None else min(high, low + more)
            return [slot for _ in range(times) for slot in _slots(body, more)]
    raise TypeError(f"{node!r} is no part of a pattern")


def _characters(ranges: Sequence[tuple[int, int]]) -> str:
    """Return the plain characters of a class, else the first ones that can be shown."""
    within = [chr(point) for low, high in ranges for point in range(low, min(high, low + 200) + 1)]
    plain = [each for each in within if each in _PLAIN]
    return "".join(plain or [each for each in within if each.isprintable()][:64] or within[:64])
