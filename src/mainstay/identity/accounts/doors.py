"""The doors of accounts: which use case is reached how, by whom, how often, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.identity.accounts import administration, letters, logging_in, own, passwords, second_factor, signing_up
from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.challenges import Challenges
from mainstay.identity.accounts.codes import CodeBook
from mainstay.identity.accounts.entities import (
    Account,
    KnownPlace,
    OneTimeCode,
    RecoveryCode,
    RoleGrant,
    SecondFactor,
)
from mainstay.identity.accounts.entry import Entry
from mainstay.identity.accounts.events import CodeAsked, LetterDue
from mainstay.identity.accounts.factors import SecondFactors
from mainstay.identity.accounts.facts import AccountFacts
from mainstay.identity.accounts.problems import (
    AddressTaken,
    ChallengeRefused,
    CodeRefused,
    LogInRefused,
    PasswordRefused,
    PasswordWrong,
    RolePresent,
    SecondFactorAbsent,
    SecondFactorKept,
    SecondFactorPresent,
    SecondStepRefused,
)
from mainstay.identity.accounts.proof import PasswordProof
from mainstay.identity.accounts.second_factor import Setting
from mainstay.model.limits import limit
from mainstay.model.module import Module
from mainstay.model.policy import anyone, authenticated, role
from mainstay.model.problem import Forbidden, Problem, StaleVersion
from mainstay.ports.security_log import SecurityRecord

ENTITIES = (Account, RoleGrant, OneTimeCode, SecondFactor, RecoveryCode, KnownPlace, SecurityRecord)
"""What is stored of accounts."""

PARTS: Sequence[type[Any]] = (
    Brakes,
    CodeBook,
    PasswordProof,
    SecondFactors,
    Challenges,
    AccountFacts,
    Entry,
    Setting,
)
"""What use cases are put together from, anew for each call: none reaches outside the service's database."""

STRANGERS = (limit("60/minute", by="address"),)
"""How often a door that anybody may come to is tried by one address, on top of the brakes of each account."""

_PROVING = (PasswordWrong, Forbidden, StaleVersion)
_Raises = Sequence[type[Problem]]


def open_doors(module: Module, path: str, *, sign_up: bool, administrator: str) -> None:
    """Declare the use cases of accounts below ``path``."""
    module.entity(*ENTITIES)
    doors = _Doors(module, path)
    if sign_up:
        doors.to_all("/sign-up", signing_up.sign_up, [PasswordRefused], status=202, secret=True)
    _doors_of_log_in(doors)
    _doors_of_letters(doors)
    _doors_of_owners(doors)
    _doors_of_administrators(module, path, administrator)
    module.on(CodeAsked)(letters.make_code)
    module.on(LetterDue)(letters.send_letter)


class _Doors:
    """Declares commands that anybody may come to, and those of owners of accounts.

    A command that takes or shows something ``secret`` takes no idempotency key: its record would hold a digest of the
    body, by which a password is quickly guessed, or what is shown once.
    """

    def __init__(self, module: Module, path: str) -> None:
        self.module = module
        self.path = path

    def to_all(
        self, path: str, function: Any, raises: _Raises = (), *, status: int = 200, secret: bool = False
    ) -> None:
        """Declare a command that needs no credentials."""
        self.module.command(
            f"POST {self.path}{path}",
            status=status,
            allow=anyone,
            limits=STRANGERS,
            raises=raises,
            idempotency="none" if secret else "optional",
        )(function)

    def to_owners(
        self, route: str, function: Any, raises: _Raises = (), *, status: int = 200, secret: bool = False
    ) -> None:
        """Declare a command of callers that are logged in; the route is a method and a path below ours."""
        method, _, path = route.partition(" ")
        self.module.command(
            f"{method} {self.path}{path}",
            status=status,
            allow=authenticated,
            raises=raises,
            idempotency="none" if secret else "optional",
        )(function)


def _doors_of_log_in(doors: _Doors) -> None:
    doors.to_all("/log-in", logging_in.log_in, [LogInRefused, SecondStepRefused, StaleVersion], secret=True)
    doors.to_all(
        "/log-in/second-step",
        logging_in.log_in_second_step,
        [SecondStepRefused, ChallengeRefused, SecondFactorAbsent, StaleVersion],
        secret=True,
    )
    doors.to_all(
        "/second-factor",
        second_factor.set_up_second_factor,
        [SecondFactorPresent, ChallengeRefused, *_PROVING],
        secret=True,
    )
    doors.to_all(
        "/second-factor/confirm",
        second_factor.confirm_second_factor,
        [SecondStepRefused, SecondFactorAbsent, ChallengeRefused, Forbidden, StaleVersion],
        secret=True,
    )


def _doors_of_letters(doors: _Doors) -> None:
    doors.to_all("/verify", signing_up.verify_address, [CodeRefused])
    doors.to_all("/verify/letter", signing_up.send_again, status=202)
    doors.to_all("/password/forgotten", passwords.forget_password, status=202)
    doors.to_all("/password/reset", passwords.reset_password, [CodeRefused, PasswordRefused], secret=True)


def _doors_of_owners(doors: _Doors) -> None:
    doors.module.query(f"GET {doors.path}/account", allow=authenticated)(own.get_own_account)
    doors.to_owners("PATCH /account", own.change_own_account)
    doors.to_owners("POST /account/password", passwords.change_password, [PasswordRefused, *_PROVING], secret=True)
    doors.to_owners("POST /account/deletion", own.request_deletion, _PROVING, status=202, secret=True)
    doors.to_owners("DELETE /account/deletion", own.withdraw_deletion)
    doors.to_owners(
        "POST /second-factor/remove",
        second_factor.remove_second_factor,
        [SecondStepRefused, SecondFactorAbsent, SecondFactorKept, *_PROVING],
        secret=True,
    )
    doors.to_owners(
        "POST /second-factor/recovery-codes",
        second_factor.new_recovery_codes,
        [SecondFactorAbsent, *_PROVING],
        secret=True,
    )


def _doors_of_administrators(module: Module, path: str, administrator: str) -> None:
    allow = role(administrator)
    base, one = f"{path}/accounts", f"{path}/accounts/{{account_id}}"
    making = [AddressTaken, PasswordRefused]
    module.query(f"GET {base}", allow=allow)(administration.list_accounts)
    module.query(f"GET {one}", allow=allow)(administration.get_account)
    module.command(f"POST {base}", status=201, allow=allow, raises=making, idempotency="none")(
        administration.create_account
    )
    module.command(f"POST {one}/roles", allow=allow, raises=[RolePresent])(administration.grant_role)
    module.command(f"DELETE {one}/roles/{{role}}", allow=allow)(administration.revoke_role)
    module.command(f"POST {one}/lock", allow=allow)(administration.lock_account)
    module.command(f"POST {one}/unlock", allow=allow)(administration.unlock_account)
    module.command(f"DELETE {one}/sessions", allow=allow)(administration.end_sessions)
    module.query(f"GET {path}/security-events", allow=allow)(administration.list_security_events)
