"""Opaque secrets: written and read in one spelling, and nothing else is one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.identity.sessions import opaque

ID = UUID("0199c0de-0000-7000-8000-00000000000a")


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read(id_: UUID, secret: bytes) -> None:
    text = opaque.write("mak_", id_, secret)
    assert opaque.read("mak_", text) == (id_, secret)
    assert len(text) == 75
    assert text[4:].isalnum()


@given(st.text(max_size=90))
def test_other_text_is_nothing(text: str) -> None:
    assert opaque.read("mak_", text) is None
    assert opaque.read("mak_", "mak_" + text) is None


@given(st.integers(min_value=4, max_value=74), st.characters(min_codepoint=33, max_codepoint=126))
def test_one_changed_character_is_noticed(place: int, character: str) -> None:
    text = opaque.write("mak_", ID, b"\x00" * 32)
    changed = text[:place] + character + text[place + 1 :]
    assert (opaque.read("mak_", changed) is None) == (changed != text)


def test_a_secret_is_of_one_kind_and_one_size() -> None:
    text = opaque.write("mrt_", ID, b"x" * 48)
    assert opaque.read("mrt_", text, 48) == (ID, b"x" * 48)
    assert opaque.read("mrt_", text) is None
    assert opaque.read("mak_", text, 48) is None


def test_a_number_beyond_its_bytes_is_no_other_spelling() -> None:
    body = "mak_" + "z" * 65
    assert opaque.read("mak_", body + opaque._check(body)) is None


def test_secrets_are_long_and_never_the_same() -> None:
    assert len({opaque.new_secret() for _ in range(100)}) == 100
    assert len(opaque.new_secret()) == 32


@pytest.mark.parametrize("secret", [b"", b"x"])
def test_a_digest_is_of_fixed_length(secret: bytes) -> None:
    assert len(opaque.digest(secret)) == 64
