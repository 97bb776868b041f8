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
from mainstay.model.problem import Forbidden, TooMany, Unavailable
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

_BUSY = (TooMany, Unavailable)


def open_doors(module: Module, path: str, *, sign_up: bool, administrator: str) -> None:
    """Declare the use cases of accounts below ``path``."""
    module.entity(*ENTITIES)
    if sign_up:
        _doors_of_strangers(module, path)
    _doors_of_log_in(module, path)
    _doors_of_passwords(module, path)
    _doors_of_second_factors(module, path)
    _doors_of_owners(module, path)
    _doors_of_administrators(module, path, administrator)
    module.on(CodeAsked)(letters.make_code)
    module.on(LetterDue)(letters.send_letter)


def _doors_of_strangers(module: Module, path: str) -> None:
    open_to = {"allow": anyone, "limits": STRANGERS, "status": 202}
    module.command(f"POST {path}/sign-up", raises=[PasswordRefused, *_BUSY], **open_to)(signing_up.sign_up)


def _doors_of_log_in(module: Module, path: str) -> None:
    refused = [LogInRefused, SecondStepRefused, *_BUSY]
    shown = {"allow": anyone, "limits": STRANGERS, "idempotency": "none"}  # what is shown once is stored nowhere
    module.command(f"POST {path}/log-in", raises=refused, **shown)(logging_in.log_in)
    module.command(
        f"POST {path}/log-in/second-step",
        raises=[SecondStepRefused, ChallengeRefused, SecondFactorAbsent, TooMany],
        **shown,
    )(logging_in.log_in_second_step)


def _doors_of_passwords(module: Module, path: str) -> None:
    open_to = {"allow": anyone, "limits": STRANGERS}
    module.command(f"POST {path}/verify", raises=[CodeRefused], **open_to)(signing_up.verify_address)
    module.command(f"POST {path}/verify/letter", status=202, **open_to)(signing_up.send_again)
    module.command(f"POST {path}/password/forgotten", status=202, **open_to)(passwords.forget_password)
    module.command(f"POST {path}/password/reset", raises=[CodeRefused, PasswordRefused, Unavailable], **open_to)(
        passwords.reset_password
    )
    module.command(
        f"POST {path}/account/password",
        allow=authenticated,
        raises=[PasswordWrong, PasswordRefused, *_BUSY],
    )(passwords.change_password)


def _doors_of_second_factors(module: Module, path: str) -> None:
    base = f"{path}/second-factor"
    shown = {"idempotency": "none"}
    proving = [PasswordWrong, ChallengeRefused, *_BUSY]
    module.command(f"POST {base}", allow=anyone, limits=STRANGERS, raises=[SecondFactorPresent, *proving], **shown)(
        second_factor.set_up_second_factor
    )
    module.command(
        f"POST {base}/confirm",
        allow=anyone,
        limits=STRANGERS,
        raises=[SecondStepRefused, SecondFactorAbsent, ChallengeRefused, TooMany],
        **shown,
    )(second_factor.confirm_second_factor)
    module.command(
        f"POST {base}/remove",
        allow=authenticated,
        raises=[PasswordWrong, SecondStepRefused, SecondFactorAbsent, SecondFactorKept, *_BUSY],
    )(second_factor.remove_second_factor)
    module.command(
        f"POST {base}/recovery-codes",
        allow=authenticated,
        raises=[PasswordWrong, SecondFactorAbsent, *_BUSY],
        **shown,
    )(second_factor.new_recovery_codes)


def _doors_of_owners(module: Module, path: str) -> None:
    base = f"{path}/account"
    module.query(f"GET {base}", allow=authenticated)(own.get_own_account)
    module.command(f"PATCH {base}", allow=authenticated)(own.change_own_account)
    module.command(f"POST {base}/deletion", status=202, allow=authenticated, raises=[PasswordWrong, Forbidden, *_BUSY])(
        own.request_deletion
    )
    module.command(f"DELETE {base}/deletion", allow=authenticated)(own.withdraw_deletion)


def _doors_of_administrators(module: Module, path: str, administrator: str) -> None:
    allow = role(administrator)
    base, one = f"{path}/accounts", f"{path}/accounts/{{account_id}}"
    module.query(f"GET {base}", allow=allow)(administration.list_accounts)
    module.query(f"GET {one}", allow=allow)(administration.get_account)
    module.command(f"POST {base}", status=201, allow=allow, raises=[AddressTaken, PasswordRefused, Unavailable])(
        administration.create_account
    )
    module.command(f"POST {one}/roles", allow=allow, raises=[RolePresent])(administration.grant_role)
    module.command(f"DELETE {one}/roles/{{role}}", allow=allow)(administration.revoke_role)
    module.command(f"POST {one}/lock", allow=allow)(administration.lock_account)
    module.command(f"POST {one}/unlock", allow=allow)(administration.unlock_account)
    module.command(f"DELETE {one}/sessions", allow=allow)(administration.end_sessions)
    module.query(f"GET {path}/security-events", allow=allow)(administration.list_security_events)
