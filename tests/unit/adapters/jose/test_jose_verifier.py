"""What the verifier accepts, and with which code it refuses everything else."""

from __future__ import annotations

import json
import pickle
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from bearer_tokens import AUDIENCE, ISSUER, KEY, NOW, SUBJECT, SetClock, claims, raw_token, refusal, signed, verifier

from mainstay.adapters.jose import generate_key, load_keys, mint
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated


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

    def test_tokens_that_say_the_same_share_their_sets(self) -> None:
        tokens = verifier()
        one, other = (
            tokens.verify(signed(sub=subject, roles=["manager", "customer"], scope="a b")) for subject in ("x", "y")
        )

        assert one.subject != other.subject
        assert one.roles is other.roles
        assert one.scopes is other.scopes

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
