"""Logging in: a password, and the second factor of accounts that have one."""

from __future__ import annotations

from mainstay.identity.accounts.challenges import Challenges
from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.entry import Entry
from mainstay.identity.accounts.factors import SecondFactors
from mainstay.identity.accounts.inputs import LoggedIn, LogIn, Needed, SecondStep
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.proof import PasswordProof, too_many
from mainstay.model.problem import TooMany
from mainstay.ports.read_ahead import ReadAhead


async def log_in(wanted: LogIn, proof: PasswordProof, factors: SecondFactors, entry: Entry) -> LoggedIn:
    """Log in with a password: to a session, or to a challenge for the step that is needed beside it."""
    email = wanted.email.lower()
    proven = await proof.of_log_in(email, wanted.password, complete=wanted.code is not None)
    if wanted.code is not None:
        try:
            await factors.brake(proven.account)
        except TooMany:
            if proven.strict:
                raise too_many() from None
            raise
    return await entry.behind_password(proven, wanted.code, wanted.means)


async def log_in_second_step(
    wanted: SecondStep,
    challenges: Challenges,
    ahead: ReadAhead[Account],
    factors: SecondFactors,
    entry: Entry,
) -> LoggedIn:
    """End a log-in with a code of the second factor, or with a recovery code."""
    account_id = challenges.account(wanted.challenge, Needed.SECOND_FACTOR)
    account = challenges.check(wanted.challenge, Needed.SECOND_FACTOR, await found(ahead.get(account_id)))
    await factors.brake(account)
    return await entry.behind_code(account_id, wanted.challenge, wanted.code, wanted.means)
