"""What the doors of accounts take and give."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from mainstay.identity.book import Opened
from mainstay.model.fields import field
from mainstay.model.structs import Dto
from mainstay.model.values import Email, Secret


class Needed(StrEnum):
    """What a log-in still needs: a code of the second factor, or that one is set up."""

    SECOND_FACTOR = "second_factor"
    SET_UP = "second_factor_set_up"


class Carrier(StrEnum):
    """What a client wants to call with: an access and a refresh token, or a session cookie."""

    TOKENS = "tokens"
    COOKIE = "cookie"


ROLE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9:._-]*"
"""A role: a plain word, as it stands in tokens and policies."""

LONGEST_PASSWORD = 4096
"""Characters that are looked at of a password at all; the settings have the bound for those that are chosen."""


class SignUp(Dto):
    """A new account."""

    email: Email
    password: Secret[str] = field(max_length=LONGEST_PASSWORD)
    name: str = field(default="", max_length=200, pattern=r"[^\x00-\x1f\x7f]*")


class Address(Dto):
    """The address of an account."""

    email: Email


class Code(Dto):
    """The code of a letter."""

    code: str = field(max_length=100)


class NewPassword(Dto):
    """A new password, with the code of a letter."""

    code: str = field(max_length=100)
    password: Secret[str] = field(max_length=LONGEST_PASSWORD)


class LogIn(Dto):
    """A log-in. ``code`` is of the second factor: with it one step is enough."""

    email: Email
    password: Secret[str] = field(max_length=LONGEST_PASSWORD)
    code: str | None = field(default=None, max_length=64)
    means: Carrier = Carrier.TOKENS


class SecondStep(Dto):
    """The second step of a log-in: a code of the generator, or a recovery code."""

    challenge: str = field(max_length=2000)
    code: str = field(max_length=64)
    means: Carrier = Carrier.TOKENS


class LoggedIn(Dto):
    """A session; or, where the log-in needs another step, a challenge for it and how long it holds in seconds."""

    session: Opened | None = field(default=None)
    needs: Needed | None = field(default=None)
    challenge: str | None = field(default=None)
    expires_in: int | None = field(default=None)


class PasswordChange(Dto):
    """A new password, with the present one."""

    present: Secret[str] = field(max_length=LONGEST_PASSWORD)
    password: Secret[str] = field(max_length=LONGEST_PASSWORD)


class Confirmation(Dto):
    """The present password, to confirm a change."""

    password: Secret[str] = field(max_length=LONGEST_PASSWORD)


class SetUp(Dto):
    """Who sets a second factor up: a caller with its password, or a log-in that was told to by its challenge."""

    password: Secret[str] | None = field(default=None, max_length=LONGEST_PASSWORD)
    challenge: str | None = field(default=None, max_length=2000)


class Generator(Dto):
    """What a generator of codes is set up with: shown once. ``uri`` is for a QR code (Key URI Format)."""

    secret: str
    uri: str


class Confirmed(Dto):
    """A first code of the generator."""

    code: str = field(max_length=64)
    challenge: str | None = field(default=None, max_length=2000)
    means: Carrier = Carrier.TOKENS


class RecoveryCodes(Dto):
    """Codes that each stand in for the second factor once: shown now and never again."""

    recovery_codes: list[str]
    session: Opened | None = field(default=None)  # where this was the end of a log-in


class Removal(Dto):
    """The present password, and a code of what is removed."""

    password: Secret[str] = field(max_length=LONGEST_PASSWORD)
    code: str = field(max_length=64)


class OwnAccount(Dto):
    """An account as its owner, or an administrator, sees it."""

    id: UUID
    email: str
    name: str
    tenant: str | None
    roles: list[str]
    second_factor: bool
    created_at: datetime
    verified_at: datetime | None
    locked_at: datetime | None
    deletion_requested_at: datetime | None


class AccountChange(Dto):
    """What an owner may change of its account."""

    name: str = field(max_length=200, pattern=r"[^\x00-\x1f\x7f]*")


class NewAccount(Dto):
    """An account that an administrator makes. Without a password its owner gets a letter to set one."""

    email: Email
    name: str = field(default="", max_length=200, pattern=r"[^\x00-\x1f\x7f]*")
    roles: list[str] = field(default_factory=list, max_length=50)
    password: Secret[str] | None = field(default=None, max_length=LONGEST_PASSWORD)


class Role(Dto):
    """A role."""

    role: str = field(min_length=1, max_length=100, pattern=ROLE_PATTERN)


class Reason(Dto):
    """Why an account is locked."""

    reason: str = field(default="", max_length=200, pattern=r"[^\x00-\x1f\x7f]*")


class Ended(Dto):
    """How many sessions ended."""

    sessions: int
