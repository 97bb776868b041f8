"""What a service with identity stands on, put together: for who runs it, who tests it, and who looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mainstay.app.authenticating import Companion
    from mainstay.app.identity_tokens import SessionParts
    from mainstay.app.settings import Settings
    from mainstay.identity.declaration import Identity
    from mainstay.kernel.providers import Resolver
    from mainstay.model.service import Service
    from mainstay.ports.clock import Clock
    from mainstay.ports.observer import Observer
    from mainstay.ports.tokens import TokenVerifier


class IdentityParts(msgspec.Struct, frozen=True):
    """The parts: ``tokens`` tells who calls, ``known`` is how use cases get theirs, ``companions`` live beside all."""

    tokens: TokenVerifier | None
    sessions: SessionParts | None = None
    known: Mapping[Any, Resolver] = {}
    companions: tuple[Companion, ...] = ()


def identity_of(service: Service) -> Identity | None:
    """Return the declaration of a service's accounts; None for one without, which loads nothing of them."""
    declared = service.identity
    if declared is None:
        return None
    from mainstay.identity.declaration import Identity

    return declared if isinstance(declared, Identity) else None


def make_identity(
    service: Service,
    settings: Settings,
    at_hand: Mapping[Any, Resolver],
    *,
    clock: Clock,
    observer: Observer,
    others: TokenVerifier | None,
) -> IdentityParts:
    """Return the parts of a service with identity; nothing but ``others`` for one without, which pays nothing.

    ``at_hand`` is what use cases have beside them, ``others`` what verifies the tokens of others. Raises
    ``SettingsRefused`` for what is not said in the settings, ``Refusal`` for what is missing.
    """
    identity = identity_of(service)
    if identity is None:
        return IdentityParts(others)
    from mainstay.app.identity_tokens import SessionParts

    sessions = SessionParts(identity, service, settings, clock=clock, observer=observer, others=others)
    known = sessions.dependencies()
    companions: list[Companion] = []
    if identity.server is not None or identity.providers:
        from mainstay.app.identity_oauth import oauth_dependencies

        known |= oauth_dependencies(identity, settings, at_hand, sessions.rules, clock, observer, companions)
    return IdentityParts(sessions.verifier, sessions, known, tuple(companions))
