"""What sessions, refresh tokens and API keys are refused with."""

from __future__ import annotations

from mainstay.model.problem import Conflict, Forbidden, Unauthenticated
from mainstay.ports.refused_tokens import TokenRefused


class TokenRevoked(TokenRefused, hint="Refresh the token, or log in again."):
    """The token holds no more."""


class ApiKeyRefused(TokenRefused):
    """The API key is not known, or holds no more."""


class RefreshTokenRefused(Unauthenticated, hint="Log in again."):
    """The refresh token is not known, or holds no more."""


class TooManyApiKeys(Conflict, hint="Revoke one that is used no more."):
    """The account has as many API keys as it may."""


class ScopeNotGiven(Forbidden):
    """An API key cannot have this scope."""


class RoleNotHeld(Forbidden):
    """An API key cannot have a role that its maker does not have."""
