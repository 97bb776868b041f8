"""Principals as JSON text: who a call was made for travels with what it emitted."""

from __future__ import annotations

from typing import Any

import msgspec

from mainstay.model.principal import Principal

_encode = msgspec.json.Encoder(decimal_format="string").encode


class _Who(msgspec.Struct, omit_defaults=True):
    id: str
    subject: str
    roles: list[str] = []
    scopes: list[str] = []
    tenant: str | None = None
    claims: dict[str, Any] = {}
    authenticated: bool = True
    is_system: bool = False
    actor: _Who | None = None
    certificate: str | None = None


def encode_principal(who: Principal) -> str:
    """Return a principal as JSON text, the same text for the same principal.

    What the service knows of it, and the circumstances of its call, are not part of it: a consumer finds out its own.
    """
    return _encode(_told(who)).decode()


def _told(who: Principal) -> _Who:
    return _Who(
        str(who.id),
        who.subject,
        sorted(who.roles),
        sorted(who.scopes),
        who.tenant,
        dict(who.claims),
        who.authenticated,
        who.is_system,
        None if who.actor is None else _told(who.actor),
        who.certificate,
    )


def decode_principal(text: str) -> Principal:
    """Return the principal that a text was made from. Raises ``msgspec.MsgspecError`` where it was made from none."""
    return msgspec.json.decode(text, type=Principal)
