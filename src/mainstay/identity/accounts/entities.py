"""The rows of accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.structs import Entity
from mainstay.model.values import Email


class Account(Entity):
    """Somebody who can log in. The id is the subject of every credential that is made for the account."""

    email: Email = field(unique=True)  # in lower case
    name: str = field(default="", max_length=200)
    tenant: str | None = field(default=None, max_length=200)
    password: str | None = field(default=None, secret=True)  # the hash; None: it logs in by other means
    verified_at: datetime | None = field(default=None)  # when the address was shown to be theirs
    locked_at: datetime | None = field(default=None)
    lock_reason: str | None = field(default=None, max_length=200)


class RoleGrant(Entity):
    """A role that an account has been given."""

    account_id: UUID = field(references=Account, on_delete="cascade", index=True)
    role: str = field(max_length=100)
    granted_by: UUID
