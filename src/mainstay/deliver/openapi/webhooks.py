"""How webhooks stand in a contract: the signatures of those that a service takes, and the messages that it sends."""

from __future__ import annotations

from typing import Any

from mainstay.deliver.openapi.schemas import Components, Schema
from mainstay.kernel.bind import Bound
from mainstay.kernel.flow.receipts import RETENTION
from mainstay.model.operation import Signed

_HEADERS = {
    "webhook-id": "The id of the message: the same each time that it is sent.",
    "webhook-timestamp": "When it was sent, in seconds since the epoch.",
    "webhook-signature": "Signatures of id, timestamp and body: v1 and HMAC-SHA256, one for each secret that counts.",
}


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


def sent_webhooks(bound: Bound, components: Components) -> dict[str, Schema]:
    """Return the member ``webhooks`` of the document; nothing for a service that sends none."""
    declared = bound.service.webhooks
    if declared is None:
        return {}
    blueprint = bound.blueprint
    names = {event if isinstance(event, str) else blueprint.event_names.get(event, "") for event in declared.tells()}
    events = {name: blueprint.events[name] for name in sorted(names) if name in blueprint.events}
    return {"webhooks": {name: {"post": _sent(name, event, components)} for name, event in events.items()}}


def _sent(name: str, event: Any, components: Components) -> Schema:
    told = (event.__doc__ or name).strip().splitlines()[0].rstrip(".")
    properties = {
        "type": {"const": name},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": components.answer(event),
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "summary": told,
        "description": "Signed and repeated as https://www.standardwebhooks.com says; the order is not promised.",
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for header, text in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "It was taken. Anything else has it sent again."},
            "410": {"description": "Nothing is wanted here any more: the endpoint is disabled."},
        },
    }
