"""The rows of OAuth. No secret is in them that could be used: of each there is a digest."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.model.fields import field
from mainstay.model.structs import Entity

CODE = "authorization_code"
MACHINE = "client_credentials"
REFRESH = "refresh_token"


class RegisteredClient(Entity):
    """A client (RFC 6749, section 2). Its id is the client_id. One without a secret is public."""

    name: str = field(max_length=200)
    confidential: bool
    secret: str | None = field(default=None, max_length=64, secret=True)
    redirect_uris: list[str] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    introspects: bool = False  # it is a resource server: it may ask about the tokens of others
    revoked_at: datetime | None = field(default=None)


class ClientGrant(Entity):
    """What an account has let a client do: all that one consent has led to ends with it."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    client_id: UUID = field(references=RegisteredClient, on_delete="cascade", index=True)
    scopes: list[str]
    ended_at: datetime | None = field(default=None)
    end_reason: str | None = field(default=None, max_length=40)


class AuthorizationCode(Entity):
    """An authorization code, good once and for a minute, with what it is bound to."""

    digest: str = field(unique=True, max_length=64, secret=True)
    grant_id: UUID = field(references=ClientGrant, on_delete="cascade", index=True)
    redirect_uri: str = field(max_length=2000)
    challenge: str = field(max_length=128)
    nonce: str | None = field(default=None, max_length=1000)
    authenticated_at: int | None = field(default=None)  # seconds since the epoch
    expires_at: datetime = field(index=True)
    used_at: datetime | None = field(default=None)


class RefreshToken(Entity):
    """A refresh token. Once it was used there is another, and who uses it again ends the grant."""

    digest: str = field(unique=True, max_length=64, secret=True)
    grant_id: UUID = field(references=ClientGrant, on_delete="cascade", index=True)
    expires_at: datetime = field(index=True)
    spent_at: datetime | None = field(default=None)


class OutsideLink(Entity):
    """Somebody at an outside provider, and the account that they are here."""

    key: str = field(unique=True, max_length=64)  # the digest of issuer and subject: two fields are not unique together
    issuer: str = field(max_length=500)
    subject: str = field(max_length=255)
    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    used_at: datetime
