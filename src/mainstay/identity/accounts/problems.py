"""The problems of accounts. What could tell whether an address has an account, or why one may not log in, is one."""

from __future__ import annotations

from mainstay.model.problem import Conflict, Forbidden, Invalid, Unauthenticated


class LogInRefused(Unauthenticated, hint="A forgotten password is set anew by a letter."):
    """The address or the password is wrong, or this account may not log in."""


class SecondStepRefused(Unauthenticated, hint="A code counts once, and for half a minute."):
    """The code of the second factor is wrong, or was used before."""


class ChallengeRefused(Unauthenticated, hint="Log in again."):
    """The challenge is not of this service, or its time is over."""


class CodeRefused(Invalid, hint="Ask for another letter."):
    """The code is wrong, was used before, or its time is over."""


class PasswordRefused(Invalid):
    """This password may not be chosen."""


class PasswordWrong(Forbidden):
    """The present password is another one."""


class SecondFactorPresent(Conflict, hint="Remove the second factor first."):
    """The account has a second factor already."""


class SecondFactorAbsent(Conflict):
    """The account has no second factor."""


class SecondFactorKept(Conflict):
    """This service asks a second factor of every account."""


class AddressTaken(Conflict):
    """There is an account with this address."""


class RolePresent(Conflict):
    """The account has this role already."""
