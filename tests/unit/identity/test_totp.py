"""Codes of generators, by the vectors of the RFCs."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from mainstay.identity.accounts import totp

SECRET = b"12345678901234567890"  # of RFC 6238, appendix B, and RFC 4226, appendix D


@pytest.mark.parametrize(
    ("step", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_vectors_of_rfc_4226(step: int, code: str) -> None:
    assert totp.code_of(SECRET, step) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code_of(SECRET, totp.step_at(seconds)) == code  # the last six of its eight digits
    assert totp.step_of(SECRET, code, seconds, after=0) == totp.step_at(seconds)


def test_a_step_that_was_used_counts_no_more() -> None:
    now = 1_000_000.0
    step = totp.step_at(now)
    code = totp.code_of(SECRET, step)
    assert totp.step_of(SECRET, code, now, after=step - 1) == step
    assert totp.step_of(SECRET, code, now, after=step) is None
    assert totp.step_of(SECRET, totp.code_of(SECRET, step - 1), now, after=step) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "-12345"])
def test_what_is_no_code_is_of_no_step(code: str) -> None:
    assert totp.step_of(SECRET, code, 59, after=0) is None


def test_a_secret_has_as_many_bytes_as_the_rfc_recommends() -> None:
    made = totp.secret_from("a" * 22, "b" * 22)
    assert len(made) == 20
    assert made != totp.secret_from("a" * 22, "c" * 22)
    assert totp.base32(SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def test_nothing_of_a_name_becomes_a_part_of_the_uri() -> None:
    uri = totp.key_uri(SECRET, issuer="A&secret=x: shop?", account="ann+1@shop.example")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/A&secret=x: shop?:ann+1@shop.example"
    found = parse_qs(parts.query)
    assert found["secret"] == [totp.base32(SECRET)]
    assert found["issuer"] == ["A&secret=x: shop?"]
    assert found["digits"] == ["6"]
