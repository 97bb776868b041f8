"""What the verifier accepts, and with which code it refuses everything else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainstay.adapters.jose import JwtVerifier, Key, generate_key, load_keys, load_secret, mint, sign_claims
from mainstay.adapters.jose.encoding import decode_object, decode_segment, encode_segment
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.ports.clock import Clock

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example"
AUDIENCE = "shop"
SUBJECT = "018f6f5e-7c3a-7d2b-8f00-0123456789ab"
SECRET = "correct horse battery staple, and 32 bytes more"
KEY = load_secret(SECRET, kid="one")


class SetClock(Clock):
    def __init__(self, time: float = NOW) -> None:
        self.at = time

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def time(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def verifier(*keys: Key, clock: Clock | None = None, **options: Any) -> JwtVerifier:
    settings: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "leeway": 5, **options}
    return JwtVerifier(keys or (KEY,), clock=clock or SetClock(), **settings)


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": NOW - 10, "exp": NOW + 60}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def signed(header: Mapping[str, Any] | None = None, key: Key = KEY, **changes: Any) -> bytes:
    return sign_claims(key, claims(**changes), header=header).encode()


def raw_token(header: bytes, payload: bytes, key: Key = KEY) -> bytes:
    message = encode_segment(header) + b"." + encode_segment(payload)
    return message + b"." + encode_segment(key.sign(message))


def refusal(token: bytes, by: JwtVerifier | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        (by or verifier()).verify(token)
    return caught.value.code


class TestAccepted:
    def test_principal_carries_what_the_token_says(self) -> None:
        token = mint(
            KEY,
            issuer=ISSUER,
            audience=AUDIENCE,
            subject=SUBJECT,
            now=NOW,
            lifetime=60,
            roles=["manager", "customer"],
            scopes=["orders:read", "orders:write"],
            tenant="acme",
            claims={"region": "eu"},
        )

        principal = verifier().verify(token.encode())

        assert principal.id == UUID(SUBJECT)
        assert principal.subject == SUBJECT
        assert principal.roles == {"manager", "customer"}
        assert principal.scopes == {"orders:read", "orders:write"}
        assert principal.tenant == "acme"
        assert principal.claims["region"] == "eu"
        assert principal.authenticated
        assert not principal.is_system

    def test_claims_cannot_be_changed(self) -> None:
        principal = verifier().verify(signed())

        with pytest.raises(TypeError):
            principal.claims["sub"] = "other"  # type: ignore[index]  # the refusal is what is tested

    @pytest.mark.parametrize(
        "subject",
        ["alice", SUBJECT.replace("-", ""), "{" + SUBJECT + "}", "x" * 36],
        ids=["name", "hex", "braces", "36"],
    )
    def test_subject_that_is_no_uuid_gets_an_id_of_the_issuer(self, subject: str) -> None:
        principal = verifier().verify(signed(sub=subject))

        assert principal.id == uuid5(uuid5(NAMESPACE_URL, ISSUER), subject)
        assert principal.id != UUID(SUBJECT)

    @pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
    def test_every_algorithm_signs_and_verifies(self, algorithm: Any) -> None:
        made = generate_key(algorithm)
        (signing,) = load_keys(made.private, kid="k")
        (checking,) = load_keys(made.public or made.private, algorithm=algorithm, kid="k")

        principal = verifier(checking).verify(signed(key=signing))

        assert principal.subject == SUBJECT

    @pytest.mark.parametrize("audience", ["shop", ["other", "shop"]])
    def test_audience_as_string_or_list(self, audience: Any) -> None:
        assert verifier().verify(signed(aud=audience)).subject == SUBJECT

    @pytest.mark.parametrize("accepted", [["shop", "shop-admin"], ("shop",)])
    def test_one_of_several_audiences(self, accepted: Any) -> None:
        assert verifier(audience=accepted).verify(signed()).subject == SUBJECT

    @pytest.mark.parametrize(
        ("name", "members", "expected"),
        [
            ("roles", {"roles": "customer manager"}, {"customer", "manager"}),
            ("roles", {"roles": []}, set()),
            ("roles", {}, set()),
            ("https://x.example/roles", {"https://x.example/roles": ["a"]}, {"a"}),
            ("realm_access.roles", {"realm_access": {"roles": ["a", "b"]}}, {"a", "b"}),
            ("realm_access.roles", {"realm_access": "none"}, set()),
        ],
    )
    def test_roles_claim(self, name: str, members: dict[str, Any], expected: set[str]) -> None:
        assert verifier(roles_claim=name).verify(signed(**members)).roles == expected

    @pytest.mark.parametrize(
        "members",
        [{"scope": "a b"}, {"scopes": ["a", "b"]}, {"scp": "a b"}, {"scp": ["b", "a"]}, {"scope": "a b", "scp": "c"}],
    )
    def test_scopes_claim(self, members: dict[str, Any]) -> None:
        assert verifier().verify(signed(**members)).scopes == {"a", "b"}

    @pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
    def test_known_types(self, kind: str) -> None:
        assert verifier().verify(signed({"typ": kind})).subject == SUBJECT

    def test_other_header_parameters_are_ignored(self) -> None:
        assert verifier().verify(signed({"x5t": "abc"})).subject == SUBJECT

    def test_white_space_and_escapes_in_json(self) -> None:
        payload = json.dumps(claims(sub="Zo\u00eb")).replace('"iss"', '"\\u0069ss"').encode()

        assert verifier().verify(raw_token(b'{ "alg" : "HS256" }', payload)).subject == "Zo\u00eb"


class TestTime:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"exp": NOW - 4}, None),
            ({"exp": NOW - 5}, "token_expired"),
            ({"exp": -1}, "token_expired"),
            ({"nbf": NOW + 5}, None),
            ({"nbf": NOW + 5.5}, "token_not_yet_valid"),
            ({"iat": NOW + 5}, None),
            ({"iat": NOW + 6}, "token_not_yet_valid"),
            ({"iat": ...}, None),
            ({"exp": ...}, "token_claims_refused"),
            ({"exp": None}, "token_claims_refused"),
            ({"exp": "1900000000"}, "token_claims_refused"),
            ({"exp": True}, "token_claims_refused"),
            ({"exp": [1]}, "token_claims_refused"),
            ({"exp": 1e300}, "token_claims_refused"),
            ({"exp": 10**400}, "token_claims_refused"),
            ({"nbf": "soon"}, "token_claims_refused"),
            ({"nbf": None}, "token_claims_refused"),
            ({"iat": {}}, "token_claims_refused"),
        ],
    )
    def test_period(self, changes: dict[str, Any], expected: str | None) -> None:
        token = raw_token(b'{"alg":"HS256"}', json.dumps(claims(**changes), separators=(",", ":")).encode())
        if expected is None:
            assert verifier().verify(token).subject == SUBJECT
        else:
            assert refusal(token) == expected

    def test_a_remembered_token_expires(self) -> None:
        clock = SetClock()
        subject = verifier(clock=clock)
        token = signed(exp=NOW + 60)
        first = subject.verify(token)

        clock.at = NOW + 64.9
        assert subject.verify(token) is first
        clock.at = NOW + 65
        assert refusal(token, subject) == "token_expired"

    def test_a_remembered_token_is_refused_again_when_the_clock_goes_back(self) -> None:
        clock = SetClock()
        subject = verifier(clock=clock)
        token = signed(nbf=NOW)
        subject.verify(token)

        clock.at = NOW - 6
        assert refusal(token, subject) == "token_not_yet_valid"


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"iss": "https://issuer.example/"}, "token_wrong_issuer"),
            ({"iss": ...}, "token_wrong_issuer"),
            ({"iss": [ISSUER]}, "token_wrong_issuer"),
            ({"aud": "other"}, "token_wrong_audience"),
            ({"aud": "other shop"}, "token_wrong_audience"),
            ({"aud": ...}, "token_wrong_audience"),
            ({"aud": []}, "token_wrong_audience"),
            ({"aud": ["shop", 1]}, "token_claims_refused"),
            ({"aud": {"shop": 1}}, "token_claims_refused"),
            ({"sub": ...}, "token_claims_refused"),
            ({"sub": ""}, "token_claims_refused"),
            ({"sub": 7}, "token_claims_refused"),
            ({"sub": "x" * 256}, "token_claims_refused"),
            ({"sub": "a\0b"}, "token_claims_refused"),
            ({"sub": "a\nb"}, "token_claims_refused"),
            ({"sub": str(Principal.system.id)}, "token_claims_refused"),
            ({"sub": str(Principal.anonymous.id)}, "token_claims_refused"),
            ({"roles": [1]}, "token_claims_refused"),
            ({"roles": {"admin": True}}, "token_claims_refused"),
            ({"scope": 5}, "token_claims_refused"),
            ({"tenant": 5}, "token_claims_refused"),
            ({"tenant": ""}, "token_claims_refused"),
        ],
    )
    def test_claims(self, changes: dict[str, Any], code: str) -> None:
        assert refusal(signed(**changes)) == code

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({"crit": ["exp"]}, "token_header_refused"),
            ({"crit": []}, "token_header_refused"),
            ({"b64": False}, "token_header_refused"),
            ({"b64": True}, "token_header_refused"),
            ({"jku": "https://evil.example/keys"}, "token_header_refused"),
            ({"x5u": "https://evil.example/cert"}, "token_header_refused"),
            ({"x5c": ["MII"]}, "token_header_refused"),
            ({"jwk": {"kty": "oct", "k": "AA"}}, "token_header_refused"),
            ({"zip": "DEF"}, "token_header_refused"),
            ({"enc": "A256GCM"}, "token_header_refused"),
            ({"cty": "JWT"}, "token_header_refused"),
            ({"typ": "dpop+jwt"}, "token_header_refused"),
            ({"typ": None}, "token_header_refused"),
            ({"typ": ["JWT"]}, "token_header_refused"),
            ({"alg": "none"}, "token_algorithm_refused"),
            ({"alg": "None"}, "token_algorithm_refused"),
            ({"alg": "hs256"}, "token_algorithm_refused"),
            ({"alg": "HS512"}, "token_algorithm_refused"),
            ({"alg": "RS256"}, "token_algorithm_refused"),
            ({"alg": None}, "token_malformed"),
            ({"alg": ["HS256"]}, "token_malformed"),
            ({"kid": "two"}, "token_unknown_key"),
            ({"kid": "../../etc/passwd"}, "token_unknown_key"),
            ({"kid": 1}, "token_malformed"),
            ({"kid": None}, "token_malformed"),
            ({"kid": "x" * 300}, "token_malformed"),
        ],
    )
    def test_header(self, header: dict[str, Any], code: str) -> None:
        assert refusal(signed(header)) == code

    @pytest.mark.parametrize(
        "token",
        [
            b"",
            b".",
            b"..",
            b"...",
            b"a.b",
            b"a.b.c.d",
            b"a..c",
            b"\xff.\xff.\xff",
            b"e30.e30.",
            b".e30.e30",
            b"x" * 9000,
        ],
    )
    def test_what_is_no_token(self, token: bytes) -> None:
        assert refusal(token) == "token_malformed"

    @pytest.mark.parametrize(
        ("header", "payload"),
        [
            (b'{"alg":"HS256","alg":"HS256"}', b"{}"),
            (b'{"alg":"none","\\u0061lg":"HS256"}', b"{}"),
            (b'["HS256"]', b"{}"),
            (b'{"alg":"HS256"', b"{}"),
            (b'\xef\xbb\xbf{"alg":"HS256"}', b"{}"),
            (b'{"alg":"HS256"}', b""),
            (b'{"alg":"HS256"}', b"[]"),
            (b'{"alg":"HS256"}', b"null"),
            (b'{"alg":"HS256"}', b'{"sub":"a","sub":"b"}'),
            (b'{"alg":"HS256"}', b'{"a":{"b":1,"b":2}}'),
            (b'{"alg":"HS256"}', b'{"a":NaN}'),
            (b'{"alg":"HS256"}', b'{"a":1e999}'),
            (b'{"alg":"HS256"}', b'{"a":"\\ud800"}'),
            (b'{"alg":"HS256"}', b'{"a":"\xff"}'),
            (b'{"alg":"HS256"}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        ],
    )
    def test_json_that_can_be_read_in_two_ways(self, header: bytes, payload: bytes) -> None:
        assert refusal(raw_token(header, payload), verifier(max_bytes=65536)) == "token_malformed"

    def test_a_token_over_the_bound(self) -> None:
        token = signed(padding="x" * 7000)

        assert refusal(token) == "token_malformed"
        assert verifier(max_bytes=16384).verify(token).subject == SUBJECT

    def test_another_spelling_of_a_segment(self) -> None:
        header, payload, signature = signed(sub="ab").split(b".")
        spellings = [segment + b"=" * (-len(segment) % 4 or 4) for segment in (header, payload, signature)]

        for number, spelling in enumerate(spellings):
            parts = [header, payload, signature]
            parts[number] = spelling
            assert refusal(b".".join(parts)) in {"token_malformed", "token_bad_signature"}

    def test_every_change_of_one_byte(self) -> None:
        token = signed()
        subject = verifier()
        for place in range(len(token)):
            changed = token[:place] + (b"A" if token[place : place + 1] != b"A" else b"B") + token[place + 1 :]
            with pytest.raises(Unauthenticated):
                subject.verify(changed)

    def test_a_refused_token_is_not_remembered(self) -> None:
        subject = verifier()
        token = signed(aud="other")

        assert refusal(token, subject) == refusal(token, subject) == "token_wrong_audience"

    def test_the_answer_carries_a_challenge_and_nothing_of_the_token(self) -> None:
        token = signed(sub="very-private-name", exp=NOW - 100)

        with pytest.raises(Unauthenticated) as caught:
            verifier().verify(token)

        problem = caught.value
        assert problem.headers == {
            "WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token has expired"'
        }
        assert "very-private-name" not in repr(problem) + problem.detail
        assert token.decode()[:20] not in repr(problem) + problem.detail
        assert pickle.loads(pickle.dumps(problem)).headers == problem.headers


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
            forged = message + b"." + encode_segment(_hmac(text.encode(), message))

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


def _hmac(secret: bytes, message: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.digest(secret, message, hashlib.sha256)


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
