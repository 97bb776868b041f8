"""The rows of accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.personal import person
from mainstay.model.structs import Entity
from mainstay.model.values import Email


class Account(Entity, person=person("id")):
    """Somebody who can log in. The id is the subject of every credential that is made for the account."""

    email: Email = field(unique=True)  # in lower case
    name: str = field(default="", max_length=200)
    tenant: str | None = field(default=None, max_length=200)
    password: str | None = field(default=None, secret=True)  # the hash; None: it logs in by other means
    verified_at: datetime | None = field(default=None)  # when the address was shown to be theirs
    locked_at: datetime | None = field(default=None)
    lock_reason: str | None = field(default=None, max_length=200)
    deletion_requested_at: datetime | None = field(default=None)


class RoleGrant(Entity, person="account_id"):
    """A role that an account has been given."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    role: str = field(max_length=100)
    granted_by: UUID


class OneTimeCode(Entity, person="account_id"):
    """A code that was sent in a letter. It is good once, until its end; its digest is kept, never the code."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    purpose: str = field(max_length=20)  # verify, reset
    digest: str = field(unique=True, max_length=64, secret=True)
    expires_at: datetime = field(index=True)


class SecondFactor(Entity, person="account_id"):
    """The TOTP generator of an account (RFC 6238). It counts once a code of it was given."""

    account_id: UUID = field(references=Account, on_delete="cascade", unique=True)
    sealed: str = field(secret=True)  # what the codes are made from
    confirmed_at: datetime | None = field(default=None)
    last_step: int = field(default=0)  # that a code was taken of: none before it or of it is taken again


class RecoveryCode(Entity, person="account_id"):
    """A code that stands in for the second factor, once. Its digest is kept, never the code."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    digest: str = field(unique=True, max_length=64, secret=True)


class KnownPlace(Entity, person="account_id"):
    """An address from which an account has logged in. ``version`` counts how often.

    It has a budget of failures of its own, so that those of others elsewhere do not keep the owner out.
    """

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    digest: str = field(unique=True, max_length=64)  # of the account's e-mail address and the caller's address
    last_at: datetime
