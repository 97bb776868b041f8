"""What goes wrong in OAuth, in the words of its specifications (RFC 6749, sections 4.1.2.1 and 5.2).

Each is a problem document as well, with ``error`` and ``error_description`` beside its members, in the media type that
clients of OAuth look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mainstay.model.problem import Forbidden, Kind, Problem

_JSON = {"Content-Type": "application/json"}


class OAuthProblem(Problem, kind=Kind.MALFORMED, code="oauth_error"):
    """The request of OAuth is refused. ``detail`` is printable ASCII without quotes and backslashes."""

    error: ClassVar[str] = "invalid_request"
    extra: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, *, error: str = "", **rest: Any) -> None:
        super().__init_subclass__(**{"code": f"oauth_{error}" if error else None, **rest})
        if error:
            cls.error = error

    def __init__(self, detail: str | None = None, /, **members: Any) -> None:
        given = {"headers": {**_JSON, **self.extra}, "error": self.error, "error_description": detail or self.title}
        super().__init__(detail, **{**given, **members})


class InvalidRequest(OAuthProblem, error="invalid_request"):
    """A parameter is missing, is there twice, or has a value that it cannot have."""


class InvalidClient(OAuthProblem, kind=Kind.UNAUTHENTICATED, error="invalid_client"):
    """The client is not known, or has not proven who it is."""

    extra = {"WWW-Authenticate": 'Basic realm="oauth", charset="UTF-8"'}


class InvalidGrant(OAuthProblem, error="invalid_grant"):
    """The code or the token is not good, or is another client's."""


class UnauthorizedClient(OAuthProblem, error="unauthorized_client"):
    """The client may not do this."""


class UnsupportedGrantType(OAuthProblem, error="unsupported_grant_type"):
    """The grant type is not one that is known here."""


class UnsupportedResponseType(OAuthProblem, error="unsupported_response_type"):
    """The response type is not code."""


class UnsupportedTokenType(OAuthProblem, error="unsupported_token_type"):
    """A token of this kind cannot be revoked: it ends by itself."""


class InvalidScope(OAuthProblem, error="invalid_scope"):
    """A scope is not known, or not one that the client may have."""


class InvalidTarget(OAuthProblem, error="invalid_target"):
    """The resource is not this service."""


class AccessDenied(OAuthProblem, error="access_denied"):
    """The account has said no."""


class LoginRequired(OAuthProblem, error="login_required"):
    """Nobody is logged in, and nobody may be asked."""


class ConsentRequired(OAuthProblem, error="consent_required"):
    """The account has not consented yet, and must not be asked."""


class RequestNotSupported(OAuthProblem, error="request_not_supported"):
    """Requests as tokens are not taken."""


class RequestUriNotSupported(OAuthProblem, error="request_uri_not_supported"):
    """Requests by reference are not taken."""


class AccountsOnly(Forbidden):
    """Only an account that is in good order may do this."""


class LogInAgain(Forbidden, hint="Log in again, and send the request once more."):
    """The client asks for a log-in that is younger than this one."""
