"""What a declaration and the settings of webhooks come to, in the terms of who works with it."""

from __future__ import annotations

from typing import Any

import msgspec

from mainstay.model.principal import Principal

EVERYBODY = "*"
"""What ``to=`` says where every endpoint is told of every event."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class WebhookRules(msgspec.Struct, kw_only=True):
    """The rules. ``events`` are the full names of those that are told, known once the service is put together."""

    to: str = ""
    most_endpoints: int = 20  # of one audience
    plain_http: bool = False
    seconds: float = 15.0
    disable_seconds: float = 432_000.0
    keep_seconds: float = 2_592_000.0
    overlap_seconds: int = 86_400
    events: tuple[str, ...] = ()

    def is_told_alone(self, who: Principal) -> bool:
        """Whether the endpoints of a caller are that person's: told of what is theirs, and not a tenant's or all's."""
        return self.to != EVERYBODY and (bool(self.to) or who.tenant is None)

    def audience_of(self, who: Principal) -> str:
        """Return whose events the endpoints of a caller are told of."""
        if self.to == EVERYBODY:
            return EVERYBODY
        if self.is_told_alone(who):
            return f"owner:{who.id}"
        return f"tenant:{who.tenant}"

    def audience_of_event(self, payload: bytes, who: Principal) -> str | None:
        """Return whose an event is, which a caller has caused; None where it says nobody."""
        if not self.to or self.to == EVERYBODY:
            return self.audience_of(who)
        owner = _decode(payload).get(self.to)
        return None if owner is None else f"owner:{owner}"
