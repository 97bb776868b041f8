"""Callers as they are named on the command line: nobody, a name with roles, a principal as JSON, a token."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import msgspec

from mainstay.app.settings import Settings
from mainstay.cli.arguments import Usage
from mainstay.model.principal import Principal
from mainstay.model.service import Service
from mainstay.ports.observer import Observation, Observer

_TOKEN_PARTS = 3


class Told(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A principal as it is told in JSON; ``name`` stands for the id where none is given."""

    name: str = "someone"
    id: UUID | None = None
    roles: list[str] = []
    scopes: list[str] = []
    tenant: str | None = None
    claims: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    actor: Told | None = None


def caller_of(text: str, service: Service, settings: Settings) -> Principal:
    """Return the caller that a text names: ``nobody``, ``system``, ``ann/support``, JSON, a token, or ``@FILE``.

    Raises ``Usage`` for JSON that is no principal, and what the verifier raises for a token.
    """
    if text.startswith("@"):
        from pathlib import Path

        text = Path(text[1:]).read_text(encoding="utf-8").strip()
    known = {"nobody": Principal.anonymous, "system": Principal.system}
    if text in known:
        return known[text]
    if text.startswith("{"):
        return _of_json(text)
    if text.count(".") == _TOKEN_PARTS - 1 and "/" not in text:
        return _of_token(text, service, settings)
    name, _, roles = text.partition("/")
    return _principal(Told(name=name or "someone", roles=[role for role in roles.split(",") if role]))


def _of_json(text: str) -> Principal:
    try:
        return _principal(msgspec.json.decode(text, type=Told))
    except msgspec.DecodeError as error:
        raise Usage(f"mainstay policy: the principal is no JSON of one: {error}") from None


def _principal(told: Told) -> Principal:
    from mainstay.testing.people import as_principal

    who = as_principal(
        str(told.id or told.name), roles=told.roles, scopes=told.scopes, tenant=told.tenant, attributes=told.attributes
    )
    actor = None if told.actor is None else _principal(told.actor)
    return msgspec.structs.replace(who, subject=told.name, claims=told.claims, actor=actor)


class _Nobody(Observer):
    """Nobody listens: a token is looked at."""

    def observe(self, observation: Observation) -> None:
        """Take it, and do nothing."""


def _of_token(token: str, service: Service, settings: Settings) -> Principal:
    from mainstay.app.assembly import assemble
    from mainstay.app.serving import run_loop

    tokens = assemble(service, settings, observer=_Nobody()).ports.tokens
    if tokens is None:
        raise Usage("mainstay policy: this service takes no tokens: name a principal")
    found = tokens.verify(token.encode())
    if isinstance(found, Principal):
        return found
    waiting: Awaitable[Principal] = found
    made: list[Principal] = []

    async def wait() -> int:
        made.append(await waiting)
        return 0

    run_loop(wait())
    return made[0]
