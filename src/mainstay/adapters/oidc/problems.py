"""Why a token of a trusted issuer is not accepted, beside what its signature and its claims say."""

from __future__ import annotations

from mainstay.model.problem import Unauthenticated, Unavailable

CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class IssuerAway(Unavailable, hint="Send the request again in a while: the token may be good."):
    """The keys of the token's issuer cannot be had."""


class TokenTypeRefused(Unauthenticated):
    """The token is of another type than its issuer is trusted for."""


class TokenPartyRefused(Unauthenticated):
    """The token was made for a client that is not accepted here."""
