"""Signed bodies: a caller that has no credentials proves itself by a signature over the raw body.

How it is written is the scheme's (``model/signature_schemes.py``). Whatever is wrong with a signature is told in the
same words, and counts as a failure to authenticate of the address that it came from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from mainstay.kernel.bound import Ports, Stage
from mainstay.kernel.call import Call
from mainstay.kernel.stages import refuse
from mainstay.model.blueprint import Blueprint
from mainstay.model.operation import Operation, Signed
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.model.signature_schemes import SCHEMES, SignatureScheme
from mainstay.model.values import Secret

_SENDERS = UUID("6f1f6a5e-2c39-5d0c-9a53-0d2f6a1c7b11")  # the namespace of the ids of senders
Key = Callable[[], bytes]


class SignatureInvalid(Unauthenticated):
    """The body's signature is missing, too old or wrong."""


def sender_of(name: str) -> Principal:
    """Return who the sender of signed messages is: the same each time, with no role."""
    subject = f"webhook:{name}"
    return Principal(id=uuid5(_SENDERS, subject), subject=subject)


def signature_stage(operation: Operation, secrets: Mapping[str, Any], ports: Ports, blueprint: Blueprint) -> Stage:
    """Return the stage that checks the signature of a body. A scheme or a secret that is not known is a fault."""
    policy: Signed = operation.allow
    scheme = policy.found
    if scheme is None:
        known = ", ".join(f'"{name}"' for name in sorted(SCHEMES))
        hint = f"the schemes known are {known}; or give a SignatureScheme"
        blueprint.fault(operation.source, operation.name, f'signed("{policy.scheme}"): no such scheme', hint)
        scheme = SCHEMES["standard-webhooks"]
    keys = _keys(policy, scheme, secrets)
    if not keys:
        hint = f"put {policy.secret} into [secrets] of the settings, or into MAINSTAY_SECRET_{policy.secret.upper()}"
        blueprint.fault(operation.source, operation.name, f"the secret {policy.secret} is not set", hint)
    return _stage(scheme, keys, sender_of(policy.sender) if policy.sender else None, ports)


def _stage(scheme: SignatureScheme, keys: Sequence[Key], sender: Principal | None, ports: Ports) -> Stage:
    def stage(call: Call) -> Awaitable[None] | None:
        body = call.body if isinstance(call.body, bytes) else b""
        of_now = [key for key in (current() for current in keys) if key]  # an empty one would be everybody's
        if not scheme.verify(call.headers, body, of_now, ports.clock.time()):
            return refuse(ports.limiter, call, SignatureInvalid())
        call.delivery = scheme.message_id(call.headers, body)
        if sender is not None:
            call.principal = sender
        return None

    return stage


def _keys(policy: Signed, scheme: SignatureScheme, secrets: Mapping[str, Any]) -> list[Key]:
    """Return what gives the keys of the secrets that are set; none where the first of them is not."""
    found = [secrets.get(name) for name in (policy.secret, *policy.previous)]
    if not _is_set(found[0]):
        return []
    return [_current(secret, scheme) for secret in found if _is_set(secret)]


def _is_set(secret: Any) -> bool:
    return bool(secret.reveal() if isinstance(secret, Secret) else secret)


def _current(secret: Any, scheme: SignatureScheme) -> Key:
    """Return what gives the key of a secret, made anew where the secret is another than before."""
    if not isinstance(secret, Secret):
        key = scheme.key(str(secret))
        return lambda: key
    made: dict[str, bytes] = {}

    def current() -> bytes:
        text = secret.reveal()
        if text not in made:
            made.clear()
            made[text] = scheme.key(text)
        return made[text]

    return current
