"""Sealed text: opens for its context and its keys, and for nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from mainstay.adapters.crypto.derivation import named_key
from mainstay.adapters.crypto.sealer import _INFO, AeadSealer

OLD, NEW = "an old secret of thirty-two bytes", "a new secret of thirty-two bytes!"
SEALER = AeadSealer([NEW])


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_comes_back(data: bytes, context: bytes) -> None:
    text = SEALER.seal(data, context)

    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert SEALER.open(text, context) == data


@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_opens_for_its_context_only(data: bytes, context: bytes, other: bytes) -> None:
    opened = SEALER.open(SEALER.seal(data, context), other)

    assert opened == (data if context == other else None)


def test_every_changed_character_is_refused() -> None:
    text = SEALER.seal(b"cursor of page two", b"orders")
    for place in range(len(text)):
        for character in "Aa_-=+/ ":
            changed = text[:place] + character + text[place + 1 :]
            assert changed == text or SEALER.open(changed, b"orders") is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True))
def test_any_text_is_refused_quietly(text: str) -> None:
    assert SEALER.open(text, b"") is None


def test_two_texts_of_one_thing_differ() -> None:
    assert len({SEALER.seal(b"same", b"") for _ in range(100)}) == 100


def test_nothing_of_the_data_shows() -> None:
    assert "secret" not in SEALER.seal(b"secret" * 10, b"")


def test_rotation() -> None:
    before, during, after = AeadSealer([OLD]), AeadSealer([NEW, OLD]), AeadSealer([NEW])

    old_text, new_text = before.seal(b"x", b"c"), during.seal(b"x", b"c")

    assert during.open(old_text, b"c") == during.open(new_text, b"c") == after.open(new_text, b"c") == b"x"
    assert after.open(old_text, b"c") is None
    assert before.open(new_text, b"c") is None


def test_bounds() -> None:
    small = AeadSealer([NEW], max_bytes=10)

    assert small.open(small.seal(b"x" * 10, b""), b"") == b"x" * 10
    assert small.open(SEALER.seal(b"x" * 12, b""), b"") is None
    with pytest.raises(ValueError, match="11 bytes to seal, at most 10"):
        small.seal(b"x" * 11, b"")


@pytest.mark.parametrize(("secrets", "says"), [([], "0 secrets"), (["short"], "5 bytes"), ([OLD] * 9, "9 secrets")])
def test_settings_without_sense(secrets: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AeadSealer(secrets)


@given(st.binary(min_size=32, max_size=200))
def test_keys_are_derived_as_the_library_derives_them(secret: bytes) -> None:
    expected = HKDF(algorithm=SHA256(), length=36, salt=None, info=_INFO).derive(secret)
    assert b"".join(named_key(secret, _INFO, "sealer")) == expected


def test_what_encrypts_is_loaded_at_the_first_text() -> None:
    made = "from mainstay.adapters.crypto.sealer import AeadSealer; import sys; sealer = AeadSealer(['x' * 32])"
    shown = "print('cryptography' in sys.modules)"
    code = f"{made}; {shown}; sealer.seal(b'a', b''); {shown}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]


def test_a_host_that_cannot_encrypt_is_told_when_it_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> AESGCMSIV:
        raise UnsupportedAlgorithm("not in this OpenSSL")

    monkeypatch.setattr("cryptography.hazmat.primitives.ciphers.aead.AESGCMSIV", refuse)
    with pytest.raises(ValueError, match="lacks AES-GCM-SIV"):
        AeadSealer([NEW]).prepare()
