"""What a team says of OAuth: who may log accounts in, and what others may do in their name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")  # RFC 6749, section 3.3
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

STANDARD_SCOPES: Mapping[str, str] = {
    "openid": "Know who you are here",
    "email": "See your e-mail address",
    "profile": "See your name",
    "offline_access": "Act for you while you are away",
}
"""The scopes of OpenID Connect Core, sections 5.4 and 11, that are known here."""


@dataclass(frozen=True, kw_only=True)
class AuthorizationServer:
    """The service as a provider for others: ``Identity(server=AuthorizationServer(scopes={...}))``.

    ``scopes`` are what clients may ask for beside those of OpenID Connect, each with words for the person who is asked
    (``{"orders:read": "See your orders"}``). A client acts for an account within them only: it may call what a policy
    with one of its scopes allows, and nothing else, whatever the account itself may do. Times are in seconds:
    ``code_seconds`` of an authorization code, ``refresh_seconds`` of a refresh token that is not used, and
    ``grant_seconds`` of what one authorization gives, however much it is used.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    code_seconds: int = 60
    refresh_seconds: int = 14 * 86_400
    grant_seconds: int = 180 * 86_400

    def __post_init__(self) -> None:
        for name, text in self.scopes.items():
            if _SCOPE.fullmatch(name) is None or not text:
                raise ValueError(f"AuthorizationServer: the scope {name!r} is no scope of RFC 6749, or has no words")
        if not 10 <= self.code_seconds <= 600 or not 60 <= self.refresh_seconds <= 365 * 86_400:
            raise ValueError("AuthorizationServer: code_seconds is 10 to 600, refresh_seconds a minute to a year")
        if not self.refresh_seconds <= self.grant_seconds <= 3650 * 86_400:
            raise ValueError("AuthorizationServer: grant_seconds is refresh_seconds at least, and ten years at most")

    def all_scopes(self) -> dict[str, str]:
        """Return every scope with its words."""
        return {**STANDARD_SCOPES, **self.scopes}


@dataclass(frozen=True)
class Provider:
    """An outside provider that accounts may log in with, by OpenID Connect: ``Provider("google", issuer=...)``.

    ``name`` stands in paths. ``issuer`` is its URL, ``client_id`` what the service is called there, ``client_secret``
    the name of the secret of the settings (None: a public client). ``redirect`` are the pages of the team that it may
    send people back to, as they are registered there; ``scopes`` what is asked for. ``trust_email`` links a person to
    the account that has their address, where the provider says that it was verified: only for a provider that gives
    nobody an address that is another's.
    """

    name: str
    issuer: str = field(kw_only=True)
    client_id: str = field(kw_only=True)
    client_secret: str | None = field(default=None, kw_only=True)
    redirect: Sequence[str] = field(kw_only=True)
    scopes: Sequence[str] = field(default=("openid", "email", "profile"), kw_only=True)
    trust_email: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"Provider({self.name!r}): a name is of lower-case letters, digits, - and _")
        if not self.client_id or not self.redirect:
            raise ValueError(f"Provider({self.name!r}): give client_id and redirect")
        if "openid" not in self.scopes or any(_SCOPE.fullmatch(one) is None for one in self.scopes):
            raise ValueError(f"Provider({self.name!r}): scopes are those of RFC 6749, and openid is one of them")
