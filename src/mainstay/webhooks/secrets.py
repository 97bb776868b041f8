"""Secrets of endpoints: made here, shown once, stored sealed, and replaced with an overlap."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from mainstay.model.problem import Conflict
from mainstay.ports.answering import Answering
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.ports.sealer import Sealer
from mainstay.webhooks.entities import WebhookSecret

SECRET_BYTES = 32
"""Of a secret: the specification asks for 24 to 64."""

MAX_LIVE = 3


class TooManySecrets(Conflict, hint="Wait until the one before it has ended."):
    """The secret was replaced too often of late."""


def new_secret(ids: Ids) -> str:
    """Return a secret as the Standard Webhooks write it: "whsec_" and the base64 of 32 random bytes."""
    random = (ids.token() + ids.token()).encode()  # 264 bits
    return "whsec_" + b64encode(blake2b(random, digest_size=SECRET_BYTES, person=b"mainstay.whsec").digest()).decode()


def context_of(endpoint: UUID) -> bytes:
    """Return what the secrets of an endpoint are sealed for: one that is copied to another row opens nothing."""
    return b"webhook secret of " + endpoint.bytes


def live(secrets: list[WebhookSecret], now: datetime) -> list[WebhookSecret]:
    """Return the secrets that count now, the newest first."""
    return sorted((s for s in secrets if s.expires_at is None or s.expires_at > now), key=lambda s: s.id, reverse=True)


class SecretBook:
    """Makes the secrets of endpoints, for a use case that shows them."""

    def __init__(
        self, secrets: Repository[WebhookSecret], ids: Ids, sealer: Sealer, clock: Clock, answering: Answering
    ) -> None:
        self._secrets = secrets
        self._ids = ids
        self._sealer = sealer
        self._clock = clock
        self._answering = answering

    async def issue(self, endpoint: UUID) -> str:
        """Make a secret, and return it to be shown this once."""
        text = new_secret(self._ids)
        sealed = self._sealer.seal(text.encode(), context_of(endpoint))
        await self._secrets.add(WebhookSecret(endpoint_id=endpoint, sealed=sealed))
        self._answering.confide()
        return text

    async def rotate(self, endpoint: UUID, overlap: int) -> str:
        """Make a new secret; those before it are signed with for ``overlap`` seconds more.

        Raises ``TooManySecrets``.
        """
        now = self._clock.now()
        page = await self._secrets.page(endpoint_id=endpoint, limit=200)
        counting = live(page.items, now)
        if len(counting) >= MAX_LIVE:
            raise TooManySecrets
        end = now + timedelta(seconds=overlap)
        for one in counting:
            if one.expires_at is None or one.expires_at > end:
                await self._secrets.update(one, expires_at=end)
        return await self.issue(endpoint)
