"""Words of texts: letter case, accents and signs make no difference, and both texts and words have bounds."""

from __future__ import annotations

import pytest

from mainstay.model.words import LONGEST_WORD, MOST_WORDS, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("  -- !? ", ()),
        ("Green  TEA, green", ("green", "tea")),
        ("250g x_y C++", ("250g", "x", "y", "c")),
        ("Thé Vert", ("the", "vert")),
        ("The\u0301", ("the",)),
        ("STRASSE Straße", ("strasse",)),
        ("ﬁne ½ ²", ("fine", "1", "2")),
        ("İstanbul \u0131s\u0131", ("istanbul", "\u0131s\u0131")),
        ("ΣΊΣΥΦΟΣ σίσυφος", ("σισυφοσ",)),
        ("緑茶 セット", ("緑", "茶", "セ", "ッ", "ト")),
        ("\uff26\uff55\uff4c\uff4c \uff57\uff49\uff44\uff45", ("full", "wide")),
        ("日本5語x", ("日", "本", "5", "語", "x")),
        ("a\u0000b\ud800c", ("a", "b", "c")),
        ("naïve-café's", ("naive", "cafe", "s")),
        ("x" * 50, ("x" * LONGEST_WORD,)),
    ],
)
def test_the_words_of_a_text(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def test_ascii_is_read_as_any_other_text() -> None:
    text = "Some TEXT_with 2 words, and more."
    assert words_of(text) == words_of(f"{text} é")[:-1]


def test_a_text_has_so_many_words_at_most() -> None:
    assert words_of(" ".join(map(str, range(MOST_WORDS + 5)))) == tuple(map(str, range(MOST_WORDS)))


def test_a_word_begins_with_the_words_of_its_beginnings() -> None:
    for text in ("greenhouse", "straße", "Ångström", "ﬁne"):
        (whole,) = words_of(text)
        for end in range(1, len(text) + 1):
            (part,) = words_of(text[:end])
            assert whole.startswith(part)
