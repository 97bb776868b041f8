"""Messages: what stands in one, what it is called, and how it is signed (https://www.standardwebhooks.com)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

import msgspec

from mainstay.model.signature_schemes import key_of, standard_signature

TEST_EVENT = "webhooks.test"
"""The type of the message that a test sends."""


class Message(msgspec.Struct, frozen=True):
    """The body of a message, in the order in which it is written."""

    type: str
    timestamp: datetime
    data: msgspec.Raw


def body_of(event: str, at: datetime, data: bytes) -> str:
    """Return the body of a message as JSON text."""
    return msgspec.json.encode(Message(event, at, msgspec.Raw(data))).decode()


def message_id(endpoint: UUID, occasion: UUID) -> str:
    """Return the id of the message by which an endpoint is told of something: the same, however often it is made."""
    return "msg_" + blake2b(endpoint.bytes + occasion.bytes, digest_size=16).hexdigest()


def moment_of(occasion: UUID, otherwise: datetime) -> datetime:
    """Return when an event was emitted: its id says that (UUIDv7, RFC 9562)."""
    return datetime.fromtimestamp((occasion.int >> 80) / 1000, UTC) if occasion.version == 7 else otherwise


def headers_of(message: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of a message: it is signed with each of the secrets."""
    stamp = str(int(at.timestamp()))
    signatures = [standard_signature(key_of(secret), message, stamp, body) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }
