"""The words of a text, in one form for letters that differ in case or accents only: what a search compares.

A text is decomposed (Unicode NFKD, UAX #15), its case is folded, and its nonspacing marks are taken away. Letters and
digits that stand together are a word. Ideographs and kana, which stand without spaces, are a word each. It is done
here, and not by a database, so that the same rows are found in every store.
"""

from __future__ import annotations

import re
import unicodedata

MOST_WORDS = 2_000
"""The words of one text that are looked at, the first ones."""

LONGEST_WORD = 40
"""The characters of a word that are looked at."""

_SINGLE = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_SINGLE}]|[^\W_{_SINGLE}]+")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, each once, in the order in which they come."""
    if text.isascii():
        plain = text.lower()
    else:
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        plain = "".join(character for character in folded if unicodedata.category(character) != "Mn")
    found: dict[str, None] = {}
    for match in _WORD.finditer(plain):
        found[match[0][:LONGEST_WORD]] = None
        if len(found) == MOST_WORDS:
            break
    return tuple(found)
