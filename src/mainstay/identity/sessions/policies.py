"""Who may do what concerns an account itself: whoever has logged in, and not who has a key or a client's token."""

from __future__ import annotations

from uuid import UUID

from mainstay.model.policy import Policy, authenticated, check
from mainstay.model.principal import Principal


def has_session(who: Principal) -> bool:
    """Whether a caller calls in a session of an account, by cookie or by the access token of that log-in.

    The verifier of sessions gives their ids as UUIDs, which no claim of a token can be.
    """
    return isinstance(who.claims.get("sid"), UUID)


in_session: Policy = authenticated & check(has_session)
"""A caller who has logged in. What an account's credentials are changed by asks for it, so that an API key that was
lost cannot make another."""
