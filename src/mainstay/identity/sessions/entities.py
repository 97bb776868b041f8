"""The rows of sessions, API keys, epochs and signing keys. No secret is in them that could be used."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.model.fields import field
from mainstay.model.structs import Entity


class Session(Entity, person="account_id"):
    """A log-in: what a browser's cookie is of, or a family of refresh tokens of which each was made from the last.

    ``secret`` is the digest of what the client holds now. Of tokens ``family`` is the digest of the part that all of a
    family have, ``previous`` that of the token before, and ``salt`` is what the present one was made from it with.
    ``roles`` are those of the log-in; where they are not ``whole``, they were less than the account had.
    """

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    means: str = field(max_length=10)
    secret: str = field(max_length=64, secret=True)
    family: str = field(default="", max_length=64, secret=True)
    previous: str = field(default="", max_length=64, secret=True)
    salt: str = field(default="", max_length=64, secret=True)
    rotated_at: datetime
    proofs: list[str]
    roles: list[str]
    whole: bool
    address: str = field(default="", max_length=64)
    agent: str = field(default="", max_length=200)
    used_at: datetime  # to the minute
    expires_at: datetime = field(index=True)
    ended_at: datetime | None = field(default=None, index=True)
    end_reason: str | None = field(default=None, max_length=40)


class ApiKey(Entity, person="account_id"):
    """A key with which a machine calls in an account's name, with some of its roles and with scopes."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    name: str = field(max_length=100)
    start: str = field(max_length=16)  # of the key, so that people know one from another
    secret: str = field(max_length=64, secret=True)
    scopes: list[str]
    roles: list[str]
    used_at: datetime | None = field(default=None)  # to the minute
    expires_at: datetime | None = field(default=None)
    revoked_at: datetime | None = field(default=None)


class SubjectEpoch(Entity):
    """The epoch of an account, a session or an API key, where it was raised lately (``ports/epochs.py``).

    The number is the moment in microseconds, or one more than the last. So it grows too where the row of the last one
    was deleted meanwhile, which is done when nothing can be left that was issued before.
    """

    subject: UUID = field(unique=True)
    number: int
    raised_at: datetime = field(index=True)


class SigningKey(Entity):
    """A key that tokens are signed with, from a moment on, and that they are checked with until another.

    ``ordinal`` is given once: of two replicas that make a key at the same time one finds the other's.
    """

    ordinal: int = field(unique=True)
    kid: str = field(unique=True, max_length=64)
    algorithm: str = field(max_length=10)
    public: str = field(max_length=500)  # a JWK
    private: str = field(max_length=4000, secret=True)  # sealed
    signs_from: datetime
    verifies_until: datetime | None = field(default=None)
