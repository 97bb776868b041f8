"""Signature schemes: the vectors that their makers publish, what is refused, and by what a message is known again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

import pytest

from mainstay import GitHub, SignatureScheme, Slack, StandardWebhooks, Stripe
from mainstay.model.signature_schemes import MAX_SIGNATURES, SCHEMES, TOLERANCE

NOW = 1_614_265_330
BODY = b'{"id": "evt_1", "test": 2432232314}'


def hmac_sha256(key: bytes, content: bytes) -> bytes:
    """HMAC as RFC 2104 writes it, by another hand than the one that is tested."""
    padded = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + content).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


def standard(key: bytes, stamp: int, body: bytes, message: str = "msg_1") -> dict[str, str]:
    made = hmac_sha256(key, f"{message}.{stamp}.".encode() + body)
    signature = "v1," + base64.b64encode(made).decode()
    return {"webhook-id": message, "webhook-timestamp": str(stamp), "webhook-signature": signature}


def github(key: bytes, stamp: int, body: bytes) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac_sha256(key, body).hex()}


def stripe(key: bytes, stamp: int, body: bytes) -> dict[str, str]:
    made = hmac_sha256(key, f"{stamp}.".encode() + body).hex()
    return {"stripe-signature": f"t={stamp},v1={made},v0=6ffbb59b2300aae63f272406069a9788"}


def slack(key: bytes, stamp: int, body: bytes) -> dict[str, str]:
    made = hmac_sha256(key, f"v0:{stamp}:".encode() + body).hex()
    return {"x-slack-signature": f"v0={made}", "x-slack-request-timestamp": str(stamp)}


Sign = Callable[[bytes, int, bytes], dict[str, str]]
ALL: list[tuple[SignatureScheme, Sign]] = [
    (StandardWebhooks(), standard),
    (GitHub(), github),
    (Stripe(), stripe),
    (Slack(), slack),
]
each = pytest.mark.parametrize(("scheme", "sign"), ALL, ids=[scheme.name for scheme, _ in ALL])


def verify(scheme: SignatureScheme, headers: Mapping[str, str], *keys: bytes, body: bytes = BODY) -> bool:
    return scheme.verify(headers.get, body, keys or (b"key",), float(NOW))


def test_the_vector_of_the_standard() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    scheme = StandardWebhooks()
    assert verify(scheme, headers, scheme.key(secret), body=b'{"test": 2432232314}')
    assert scheme.message_id(headers.get, b"") == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_vector_of_github() -> None:
    headers = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    assert verify(GitHub(), headers, b"It's a Secret to Everybody", body=b"Hello, World!")


@each
def test_a_body_with_its_signature_is_taken(scheme: SignatureScheme, sign: Sign) -> None:
    assert verify(scheme, sign(b"key", NOW, BODY))
    assert verify(scheme, sign(b"new", NOW, BODY), b"old", b"new")
    assert SCHEMES[scheme.name] == scheme


@each
def test_another_body_key_or_header_is_refused(scheme: SignatureScheme, sign: Sign) -> None:
    headers = sign(b"key", NOW, BODY)
    assert not verify(scheme, headers, body=BODY + b" ")
    assert not verify(scheme, headers, b"another", b"third")
    assert not verify(scheme, {})
    assert not scheme.verify(headers.get, BODY, (), float(NOW))
    for name in scheme.headers:
        for value in ("", "\u0661", "\udcff", "x" * 5000, "0" + headers[name], "v1,", "t=1", "sha256=", "=,=,"):
            assert not verify(scheme, {**headers, name: value}), (name, value)


@each
def test_a_time_counts_within_the_tolerance(scheme: SignatureScheme, sign: Sign) -> None:
    timed = not isinstance(scheme, GitHub)
    for away in (-TOLERANCE, TOLERANCE):
        assert verify(scheme, sign(b"key", NOW + int(away), BODY))
    for away in (-TOLERANCE - 1, TOLERANCE + 1):
        assert verify(scheme, sign(b"key", NOW + int(away), BODY)) is not timed


@each
def test_a_message_is_known_again_by_what_is_signed(scheme: SignatureScheme, sign: Sign) -> None:
    first, later = sign(b"key", NOW, BODY), sign(b"key", NOW + 60, BODY)
    known = scheme.message_id(first.get, BODY)
    assert known
    assert scheme.message_id(later.get, BODY) == known
    unsigned = {**first, "x-github-delivery": "72d3162e", "x-slack-retry-num": "1", "idempotency-key": "k"}
    assert scheme.message_id(unsigned.get, BODY) == known


def test_an_event_of_stripe_is_known_by_its_id() -> None:
    scheme, nothing = Stripe(), dict[str, str]()
    assert scheme.message_id(nothing.get, BODY) == "evt_1"
    assert scheme.message_id(nothing.get, b'{"id": "evt_1", "pending_webhooks": 0}') == "evt_1"
    others = [b"no json", b"[]", b'{"id": 1}', b'{"id": ""}', b'{"id": "%s"}' % (b"x" * 300)]
    assert len({scheme.message_id(nothing.get, body) for body in others}) == len(others)


def test_only_some_signatures_are_looked_at() -> None:
    good = standard(b"key", NOW, BODY)
    for before, taken in ((MAX_SIGNATURES - 1, True), (MAX_SIGNATURES, False)):
        many = " ".join(["v1,x"] * before + [good["webhook-signature"]])
        assert verify(StandardWebhooks(), {**good, "webhook-signature": many}) is taken


def test_an_id_is_of_a_bounded_length() -> None:
    assert verify(StandardWebhooks(), standard(b"key", NOW, BODY, "m" * 255))
    assert not verify(StandardWebhooks(), standard(b"key", NOW, BODY, "m" * 256))
    assert not verify(StandardWebhooks(), standard(b"key", NOW, BODY, ""))


def test_a_time_of_stripe_is_said_once() -> None:
    headers = stripe(b"key", NOW, BODY)
    assert not verify(Stripe(), {"stripe-signature": f"t={NOW}," + headers["stripe-signature"]})


def test_keys_are_as_each_scheme_writes_its_secrets() -> None:
    assert StandardWebhooks().key("whsec_a2V5") == b"key"
    assert StandardWebhooks().key("whsec_no base64") == b"whsec_no base64"
    assert StandardWebhooks().key("plain") == b"plain"
    assert Stripe().key("whsec_a2V5") == b"whsec_a2V5"
