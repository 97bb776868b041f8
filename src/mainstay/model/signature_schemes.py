"""Signature schemes of webhooks: how a sender proves that a body is its own, each in a few lines behind one contract.

All of them are HMAC-SHA256 (RFC 2104) over the raw body and, but for GitHub's, the time of sending. What a message is
told apart by is taken from what is signed only: an identifier that anybody may change would let a copy in again.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import ClassVar

import msgspec

Headers = Callable[[str], str | None]
"""Looks a header up by its lower-case name."""

TOLERANCE = 300.0  # seconds that a signature's time may differ from ours
MAX_SIGNATURES = 10
MAX_MESSAGE_ID = 255


class SignatureScheme(ABC):
    """How one kind of sender signs. A team's own is a subclass that is given as ``scheme=``."""

    name: ClassVar[str]
    headers: ClassVar[tuple[str, ...]]
    """The header of the signature, then the others that it needs, in lower case: for the contract."""

    def key(self, secret: str) -> bytes:
        """Return the key that a secret stands for: its characters, unless the scheme writes it in another form."""
        return secret.encode()

    @abstractmethod
    def verify(self, headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:
        """Whether the body was signed with one of the keys, at a time near ``now`` (seconds since the epoch).

        Whatever the headers hold, it raises nothing; digests are compared in constant time.
        """

    def message_id(self, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - for schemes that name messages
        """Return what is the same each time that a message is sent; asked only of what was verified.

        Unless a scheme signs an id it is a digest of the body.
        """
        return blake2b(body, digest_size=20).hexdigest()


def is_near(stamp: str, now: float, tolerance: float) -> bool:
    """Whether a time in whole seconds, as text, differs from ``now`` by no more than the tolerance."""
    return stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and abs(now - int(stamp)) <= tolerance


def any_matches(given: Sequence[str], made: Sequence[str]) -> bool:
    """Whether one of the signatures is one of those that were made, in a time that does not tell how far one fits."""
    pairs = [(one.encode("utf-8", "replace"), other.encode()) for one in given[:MAX_SIGNATURES] for other in made]
    return any([hmac.compare_digest(one, other) for one, other in pairs])  # all of them, not up to the first


@dataclass(frozen=True, kw_only=True)
class StandardWebhooks(SignatureScheme):
    """The Standard Webhooks specification, version 1, with symmetric keys (``v1``).

    A secret is "whsec_" and base64; other text stands for itself. ``tolerance`` is in seconds.
    """

    tolerance: float = TOLERANCE
    name: ClassVar[str] = "standard-webhooks"
    headers: ClassVar[tuple[str, ...]] = ("webhook-signature", "webhook-id", "webhook-timestamp")

    def key(self, secret: str) -> bytes:
        return key_of(secret)

    def verify(self, headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:
        message, stamp = headers("webhook-id") or "", headers("webhook-timestamp") or ""
        given = (headers("webhook-signature") or "").split(" ")
        if not 0 < len(message) <= MAX_MESSAGE_ID or not is_near(stamp, now, self.tolerance):
            return False
        return any_matches(given, [standard_signature(key, message, stamp, body) for key in keys])

    def message_id(self, headers: Headers, body: bytes) -> str:  # noqa: ARG002
        return headers("webhook-id") or ""


def key_of(secret: str) -> bytes:
    """Return the key of a secret as the Standard Webhooks write it; other text stands for itself."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret[6:], validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def standard_signature(key: bytes, message: str, stamp: str, body: bytes) -> str:
    """Return the signature of a message as the Standard Webhooks write it: ``v1,`` and base64."""
    content = f"{message}.{stamp}.".encode("utf-8", "replace") + body
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


@dataclass(frozen=True, kw_only=True)
class GitHub(SignatureScheme):
    """GitHub's ``X-Hub-Signature-256``. It signs neither a time nor an id: equal bodies count as one message."""

    name: ClassVar[str] = "github"
    headers: ClassVar[tuple[str, ...]] = ("x-hub-signature-256",)

    def verify(self, headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:  # noqa: ARG002
        given = headers("x-hub-signature-256") or ""
        return any_matches([given], ["sha256=" + hmac.digest(key, body, "sha256").hex() for key in keys])


class _Named(msgspec.Struct):
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Stripe(SignatureScheme):
    """Stripe's ``Stripe-Signature``: a time and signatures. An event is told apart by the ``id`` in its body."""

    tolerance: float = TOLERANCE
    name: ClassVar[str] = "stripe"
    headers: ClassVar[tuple[str, ...]] = ("stripe-signature",)

    def verify(self, headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:
        parts = list(_pairs(headers("stripe-signature") or ""))
        stamps = [value for name, value in parts if name == "t"]
        if len(stamps) != 1 or not is_near(stamps[0], now, self.tolerance):
            return False
        content = stamps[0].encode() + b"." + body
        given = [value for name, value in parts if name == "v1"]
        return any_matches(given, [hmac.digest(key, content, "sha256").hex() for key in keys])

    def message_id(self, headers: Headers, body: bytes) -> str:
        try:
            named = msgspec.json.decode(body, type=_Named).id
        except msgspec.MsgspecError:
            named = ""
        return named if 0 < len(named) <= MAX_MESSAGE_ID else super().message_id(headers, body)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(",")[: 2 * MAX_SIGNATURES]:
        name, _, value = part.strip().partition("=")
        yield name, value


@dataclass(frozen=True, kw_only=True)
class Slack(SignatureScheme):
    """Slack's ``X-Slack-Signature``, with a time in ``X-Slack-Request-Timestamp``."""

    tolerance: float = TOLERANCE
    name: ClassVar[str] = "slack"
    headers: ClassVar[tuple[str, ...]] = ("x-slack-signature", "x-slack-request-timestamp")

    def verify(self, headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:
        stamp = headers("x-slack-request-timestamp") or ""
        if not is_near(stamp, now, self.tolerance):
            return False
        content = f"v0:{stamp}:".encode() + body
        given = headers("x-slack-signature") or ""
        return any_matches([given], ["v0=" + hmac.digest(key, content, "sha256").hex() for key in keys])


SCHEMES: Mapping[str, SignatureScheme] = MappingProxyType(
    {scheme.name: scheme for scheme in (StandardWebhooks(), GitHub(), Stripe(), Slack())}
)
"""The schemes that are known by name."""
