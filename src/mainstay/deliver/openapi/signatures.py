"""How webhooks that a service takes stand in its contract: their signatures, and what becomes of repetitions."""

from __future__ import annotations

from typing import Any

from mainstay.kernel.bind import Bound
from mainstay.kernel.flow.receipts import RETENTION
from mainstay.model.operation import Signed

Schema = dict[str, Any]


def security_name(policy: Signed) -> str:
    """Return what the security scheme of a signature is called."""
    scheme = policy.found
    return "signature" if scheme is None or scheme.name == "standard-webhooks" else f"signature-{scheme.name}"


def signature_schemes(bound: Bound) -> dict[str, Schema]:
    """Return the security schemes of the signatures that operations ask for, by name."""
    made: dict[str, Schema] = {}
    for policy in (one.operation.allow for one in bound.operations):
        if isinstance(policy, Signed) and (scheme := policy.found) is not None:
            named = {"type": "apiKey", "in": "header", "name": scheme.headers[0]}
            if security_name(policy) != "signature":
                named["description"] = f"HMAC-SHA256 over the raw body, as {scheme.name} writes it."
            made[security_name(policy)] = named
    return made


def told_of_webhook(policy: Any) -> str:
    """Return what a sender is told of an operation that takes webhooks; nothing of another."""
    if not isinstance(policy, Signed) or not policy.once or (scheme := policy.found) is None:
        return ""
    headers = ", ".join(scheme.headers)
    return (
        f"Messages are signed over their raw body ({headers}). One that was taken within the last {RETENTION.days} "
        "days is answered 200 with an empty body, and has no second effect."
    )
