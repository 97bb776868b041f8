"""What happens to accounts, for consumers here and in a team's own modules."""

from __future__ import annotations

from uuid import UUID

from mainstay.model.structs import Event


class CodeAsked(Event):
    """Somebody asked for the letter with a code, for an address that may have no account."""

    email: str
    purpose: str  # verify, reset


class LetterDue(Event):
    """A letter is to be sent. ``sealed`` is the code in it, where it has one."""

    to: str
    kind: str
    sealed: str = ""


class AccountVerified(Event):
    """An account's address was shown to be its owner's: it is a person that can be written to."""

    account_id: UUID
    email: str


class AccountLocked(Event):
    """An account was locked, and its sessions have ended."""

    account_id: UUID


class DeletionRequested(Event):
    """An account asked to be deleted: whoever keeps rows of its owner has to do so too."""

    account_id: UUID
