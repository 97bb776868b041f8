"""Encrypted values: open where they were made for, with every key that was theirs, and for nothing else."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from mainstay.adapters.crypto.field_cipher import _INFO, AesFieldCipher
from mainstay.ports.encryption import EncryptionKeyMissing, ValueUnreadable

OLD, NEW = "an old secret of thirty-two bytes", "a new secret of thirty-two bytes!"
CIPHER = AesFieldCipher([NEW])
FIELD, ROW = b"shop_customer.card", UUID(int=7)

values = st.binary(max_size=100)
labels = st.binary(max_size=30)


@given(values, labels, st.uuids())
def test_comes_back(value: bytes, label: bytes, row: UUID) -> None:
    stored = CIPHER.encrypt(value, label, row)
    assert CIPHER.decrypt(stored, label, row) == value
    assert len(stored) == len(value) + 33
    assert CIPHER.key_of(stored) == CIPHER.present


@given(values, labels, st.uuids(), labels, st.uuids())
def test_opens_in_its_own_place_only(value: bytes, label: bytes, row: UUID, other: bytes, another: UUID) -> None:
    stored = CIPHER.encrypt(value, label, row)
    if (label, row) != (other, another):
        with pytest.raises(ValueUnreadable):
            CIPHER.decrypt(stored, other, another)


@given(st.data())
def test_what_was_cut_or_bent_never_opens(data: st.DataObject) -> None:
    stored = CIPHER.encrypt(data.draw(values), FIELD, ROW)
    place = data.draw(st.integers(0, len(stored) - 1))
    bent = bytearray(stored)
    bent[place] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(bent), stored[:place], stored[place + 1 :], stored + b"\0"):
        with pytest.raises((ValueUnreadable, EncryptionKeyMissing)):
            CIPHER.decrypt(changed, FIELD, ROW)


@given(values, values)
def test_parts_of_two_values_make_no_third(one: bytes, other: bytes) -> None:
    first, second = CIPHER.encrypt(one, FIELD, ROW), CIPHER.encrypt(other, FIELD, ROW)
    with pytest.raises(ValueUnreadable):
        CIPHER.decrypt(first[:17] + second[17:], FIELD, ROW)


@given(values)
def test_any_bytes_are_refused(raw: bytes) -> None:
    for stored in (raw, b"\1" + raw):
        with pytest.raises((ValueUnreadable, EncryptionKeyMissing)):
            CIPHER.decrypt(stored, FIELD, ROW)


def test_two_of_one_value_differ() -> None:
    assert len({CIPHER.encrypt(b"same", FIELD, ROW) for _ in range(100)}) == 100


def test_rotation() -> None:
    before, during, after = AesFieldCipher([OLD]), AesFieldCipher([NEW, OLD]), AesFieldCipher([NEW])
    old = before.encrypt(b"old", FIELD, ROW)
    assert during.decrypt(old, FIELD, ROW) == b"old"
    assert (during.key_of(old), during.present) == (before.present, after.present)
    assert after.decrypt(during.encrypt(b"new", FIELD, ROW), FIELD, ROW) == b"new"
    with pytest.raises(EncryptionKeyMissing):
        after.decrypt(old, FIELD, ROW)


def test_the_keys_are_those_of_hkdf() -> None:
    stored = CIPHER.encrypt(b"value", FIELD, ROW)
    derived = HKDF(SHA256(), 36, None, _INFO).derive(NEW.encode())
    key = HKDFExpand(SHA256(), 32, _INFO + b"\0" + FIELD).derive(derived[4:])
    head, nonce, body = stored[:5], stored[5:17], stored[17:]
    assert head == b"\1" + derived[:4]
    assert AESGCM(key).decrypt(nonce, body, head + ROW.bytes + FIELD) == b"value"


@pytest.mark.parametrize("stored", [b"", b"\1", b"plain text", b"\2" + bytes(40)])
def test_what_has_not_the_form_has_no_key(stored: bytes) -> None:
    assert CIPHER.key_of(stored) == ""


@pytest.mark.parametrize(
    ("secrets", "message"), [([], "0 secrets"), ([NEW] * 9, "9 secrets"), (["short"], "encryption: a secret has 5")]
)
def test_secrets_that_are_no_use_are_refused(secrets: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AesFieldCipher(secrets)


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys; from mainstay.adapters.crypto.field_cipher import AesFieldCipher; AesFieldCipher(['x' * 32]);"
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
