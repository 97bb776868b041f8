"""Who acts for the subject of a token: its ``act`` claim (RFC 8693, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from mainstay.model.principal import Principal
from mainstay.ports.refused_tokens import TokenClaimsRefused


def acted_for(
    subject: Principal,
    claims: Mapping[str, Any],
    *,
    id_of: Callable[[str], UUID],
    words_of: Callable[[Any, str], frozenset[str]],
) -> Principal:
    """Return the principal of a token with its actor, where it names one.

    The outermost actor counts; those that it names in turn are history. Where ``act`` tells roles or scopes of its own,
    what may be done is what both may; where it tells none, the issuer has cut those of the token already. Raises
    ``TokenClaimsRefused`` for an ``act`` that names nobody: a token that was meant for an actor must not be taken for
    its subject's own.
    """
    if "act" not in claims:
        return subject
    act = claims["act"]
    name = act.get("sub") if isinstance(act, dict) else None
    if not isinstance(name, str) or not name or not name.isprintable():
        raise TokenClaimsRefused("The act claim names nobody: it is an object with a sub.")
    roles, scopes = (words_of(act[each], each) if each in act else None for each in ("roles", "scope"))
    actor = Principal(
        id=id_of(name),
        subject=name,
        roles=subject.roles if roles is None else roles,
        scopes=subject.scopes if scopes is None else scopes,
        tenant=subject.tenant,
    )
    return subject.acted_for_by(actor)
