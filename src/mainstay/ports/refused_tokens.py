"""Why a token is refused. Each is ``Unauthenticated`` with its own code; none repeats a part of the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mainstay.model.problem import Unauthenticated


class TokenRefused(Unauthenticated):
    """The bearer token is not accepted."""

    challenge: ClassVar[str] = 'Bearer error="invalid_token"'

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.challenge = f'Bearer error="invalid_token", error_description="{cls.title}"'

    def __init__(self, detail: str | None = None, /, *, headers: Mapping[str, str] | None = None, **rest: Any) -> None:
        """Add the challenge of RFC 6750, section 3, unless ``headers`` are given."""
        super().__init__(detail, headers=headers or {"WWW-Authenticate": self.challenge}, **rest)


class TokenMalformed(TokenRefused, hint="Send a signed JWT in compact form: three base64url parts, joined by dots."):
    """The token is not a well-formed JWT."""


class TokenExpired(TokenRefused, hint="Get a new token and send the request again."):
    """The token has expired."""


class TokenNotYetValid(TokenRefused, hint="Check the clocks of the issuer and of this service."):
    """The token is not valid yet."""


class TokenBadSignature(TokenRefused):
    """The signature of the token does not fit."""


class TokenWrongIssuer(TokenRefused):
    """The token is from another issuer."""


class TokenWrongAudience(TokenRefused):
    """The token is meant for another audience."""


class TokenUnknownKey(TokenRefused):
    """The token names a key that is not known here."""


class TokenAlgorithmRefused(TokenRefused):
    """The algorithm of the token is not accepted."""


class TokenHeaderRefused(TokenRefused):
    """The token has a header parameter that is not accepted."""


class TokenClaimsRefused(TokenRefused):
    """A claim of the token is missing or not of the right form."""
