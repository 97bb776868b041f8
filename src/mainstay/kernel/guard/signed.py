"""Signed bodies: a caller that has no credentials proves itself by a signature over the raw body.

The scheme "standard-webhooks" is that of the Standard Webhooks specification, version 1: HMAC-SHA256 over
``id.timestamp.body``, in the headers webhook-id, webhook-timestamp and webhook-signature.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from mainstay.kernel.bound import Stage
from mainstay.kernel.call import Call
from mainstay.model.blueprint import Blueprint
from mainstay.model.operation import Operation
from mainstay.model.problem import Unauthenticated
from mainstay.model.values import Secret
from mainstay.ports.clock import Clock

TOLERANCE = 300.0  # seconds that a signature's time may differ from ours
MAX_SIGNATURES = 10


class SignatureInvalid(Unauthenticated):
    """The body's signature is missing, too old or wrong."""


def signature_stage(operation: Operation, secrets: Mapping[str, Any], clock: Clock, blueprint: Blueprint) -> Stage:
    """Return the stage that checks the signature of a body. A scheme or a secret that is not known is a fault."""
    policy = operation.allow
    if policy.scheme != "standard-webhooks":
        hint = 'the scheme known is "standard-webhooks"'
        blueprint.fault(operation.source, operation.name, f'signed("{policy.scheme}"): no such scheme', hint)
    secret = secrets.get(policy.secret)
    if secret is None:
        hint = f"put {policy.secret} into [secrets] of the settings, or into MAINSTAY_SECRET_{policy.secret.upper()}"
        blueprint.fault(operation.source, operation.name, f"the secret {policy.secret} is not set", hint)
    key_of_now = _current(secret)

    def stage(call: Call) -> None:
        check_signature(call, key_of_now(), clock.time())

    return stage


def _current(secret: Any) -> Callable[[], bytes]:
    """Return what gives the key of a secret, made anew where the secret is another than before."""
    if not isinstance(secret, Secret):
        key = _key(str(secret or ""))
        return lambda: key
    made: dict[str, bytes] = {}

    def current() -> bytes:
        text = secret.reveal()
        if text not in made:
            made.clear()
            made[text] = _key(text)
        return made[text]

    return current


def _key(text: str) -> bytes:
    """Return the key of a secret as the specification writes it: "whsec_" and base64; other text stands for itself."""
    if text.startswith("whsec_"):
        try:
            return base64.b64decode(text[6:], validate=True)
        except binascii.Error:
            return text.encode()
    return text.encode()


def check_signature(call: Call, key: bytes, now: float) -> None:
    """Check the signature headers of a call over its body. Raises ``SignatureInvalid``."""
    message = call.headers("webhook-id") or ""
    stamp = call.headers("webhook-timestamp") or ""
    given = (call.headers("webhook-signature") or "").split(" ")[:MAX_SIGNATURES]
    body = call.body if isinstance(call.body, bytes) else b""
    if not message or not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12 or abs(now - int(stamp)) > TOLERANCE:
        raise SignatureInvalid
    content = f"{message}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise SignatureInvalid
