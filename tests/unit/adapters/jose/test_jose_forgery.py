"""Forged tokens, key confusion, bounds, and nonsense of every kind: never anything but a refusal."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from bearer_tokens import ISSUER, KEY, SECRET, SUBJECT, claims, raw_token, refusal, signed, verifier
from hypothesis import example, given
from hypothesis import strategies as st

from mainstay.adapters.jose import generate_key, load_keys, load_secret
from mainstay.adapters.jose.encoding import decode_object, decode_segment, encode_segment
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated


class TestConfusion:
    """A public key is no secret: whoever knows it must not be able to sign with it."""

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_public_key_as_shared_secret(self, algorithm: Any) -> None:
        made = generate_key(algorithm)
        assert made.public is not None
        (checking,) = load_keys(made.public, kid="one")
        for text in (made.public, made.public.strip(), made.public + "\n"):
            message = (
                encode_segment(b'{"alg":"HS256","kid":"one"}') + b"." + encode_segment(json.dumps(claims()).encode())
            )
            forged = message + b"." + encode_segment(hmac.digest(text.encode(), message, hashlib.sha256))

            assert refusal(forged, verifier(checking)) == "token_algorithm_refused"

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_token_of_another_algorithm_with_both_keys_known(self, algorithm: Any) -> None:
        (other,) = load_keys(generate_key(algorithm).private, kid="two")
        both = verifier(KEY, other)

        assert both.verify(signed(key=other)).subject == SUBJECT
        assert refusal(signed({"alg": "HS256"}, key=other), both) == "token_algorithm_refused"
        assert refusal(signed({"kid": "one"}, key=other), both) == "token_algorithm_refused"
        assert refusal(signed({"kid": "one", "alg": "HS256"}, key=other), both) == "token_bad_signature"

    def test_keys_without_id_are_all_tried(self) -> None:
        old, new = load_secret(SECRET + " old"), load_secret(SECRET + " new")
        both = verifier(new, old)

        assert both.verify(signed(key=old)).subject == SUBJECT
        assert both.verify(signed({"kid": "of the issuer"}, key=new)).subject == SUBJECT
        assert refusal(signed(key=load_secret(SECRET + " third")), both) == "token_bad_signature"

    def test_a_known_header_does_not_vouch_for_a_signature(self) -> None:
        subject = verifier()
        token = signed()
        subject.verify(token)

        assert refusal(token[:-4] + b"AAAA", subject) == "token_bad_signature"
        assert refusal(signed(key=load_secret(SECRET + "!", kid="one")), subject) == "token_bad_signature"


class TestBounds:
    def test_remembered_tokens_are_bounded(self) -> None:
        subject = verifier(cache_size=10)
        for number in range(50):
            subject.verify(signed(sub=f"user {number}"))

        assert len(subject._cache) == 10

    def test_remembered_headers_are_bounded(self) -> None:
        subject = verifier()
        for number in range(200):
            subject.verify(signed({"x5t": str(number)}))

        assert len(subject._payload_of.__self__._known) <= 64  # type: ignore[attr-defined]  # a bound method

    def test_no_cache(self) -> None:
        subject = verifier(cache_size=0)
        token = signed()

        assert subject.verify(token) == subject.verify(token)
        assert len(subject._cache) == 0

    @pytest.mark.parametrize(
        "options",
        [
            {"issuer": ""},
            {"audience": ""},
            {"audience": []},
            {"leeway": -1},
            {"leeway": 301},
            {"leeway": float("nan")},
            {"cache_size": -1},
            {"max_bytes": 0},
        ],
    )
    def test_settings_without_sense(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="tokens:"):
            verifier(**options)


@given(st.binary(max_size=90))
@example(b"AB")
@example(b"AA=")
@example(b"+/")
def test_a_segment_has_one_spelling(segment: bytes) -> None:
    try:
        data = decode_segment(segment)
    except ValueError:
        return
    assert encode_segment(data) == segment


@given(st.binary(max_size=90))
def test_a_segment_comes_back(data: bytes) -> None:
    assert decode_segment(encode_segment(data)) == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda v: st.dictionaries(st.text(max_size=3), v, max_size=3) | st.lists(v, max_size=3),
        max_leaves=8,
    )
)
def test_objects_are_read_as_json_says(value: Any) -> None:
    spelled: Callable[[Any], bytes] = lambda v: json.dumps(v).encode()  # noqa: E731  # reads best on its line
    if isinstance(value, dict):
        assert decode_object(spelled(value)) == value
        assert decode_object(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) == value
    else:
        with pytest.raises(ValueError, match="object"):
            decode_object(spelled(value))


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(SUBJECT) | st.just(ISSUER),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=4), value, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "roles", "scope", "tenant", "alg", "kid", "typ", "crit"]
)
FUZZED = verifier(cache_size=4)


@given(st.binary(max_size=300) | st.from_regex(rb"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_bytes_are_refused_and_nothing_else_happens(token: bytes) -> None:
    with pytest.raises(Unauthenticated):
        FUZZED.verify(token)


@given(st.dictionaries(NAMES, JSON_LIKE, max_size=4), st.dictionaries(NAMES, JSON_LIKE, max_size=4))
def test_signed_nonsense_is_refused_or_a_principal(header: dict[str, Any], changes: dict[str, Any]) -> None:
    head = json.dumps({"alg": "HS256", "kid": "one", **header}).encode()
    token = raw_token(head, json.dumps({**claims(), **changes}).encode())
    try:
        principal = FUZZED.verify(token)
    except Unauthenticated:
        return
    assert principal.id not in (Principal.anonymous.id, Principal.system.id)
    assert principal.subject == changes.get("sub", SUBJECT)
