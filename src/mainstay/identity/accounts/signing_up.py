"""Signing up, and showing that an address is one's own."""

from __future__ import annotations

from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.codes import CodeBook
from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.accounts.events import AccountVerified, CodeAsked, LetterDue
from mainstay.identity.accounts.inputs import Address, Code, SignUp
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.proof import PasswordProof
from mainstay.identity.accounts.rules import AccountRules
from mainstay.model.principal import Principal
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog
from mainstay.ports.unit_of_work import UnitOfWork


async def sign_up(
    wanted: SignUp,
    proof: PasswordProof,
    accounts: Repository[Account],
    grants: Repository[RoleGrant],
    codes: CodeBook,
    brakes: Brakes,
    events: Events,
    rules: AccountRules,
    log: SecurityLog,
    unit: UnitOfWork,
) -> None:
    """Make an account. The answer is the same for an address that has one: its owner is told by a letter.

    The account can be used once its address was confirmed with the code of a letter, where the service asks for that.
    """
    email = wanted.email.lower()
    hashed = await proof.chosen(wanted.password, email, wanted.name)
    may_write = await brakes.letter(email)
    present = await found(accounts.one(email=email))
    if present is not None:
        log.note(SecurityEvent(kind="account.address_taken", outcome="denied", subject=present.id))
        if may_write:
            events.emit(LetterDue(to=email, kind="taken"))
        return
    account = await accounts.add(Account(email=email, name=wanted.name, password=hashed))
    for role in rules.default_roles:
        await grants.add(RoleGrant(account_id=account.id, role=role, granted_by=Principal.system.id))
    if rules.verify_email and may_write:
        await codes.send(account, "verify")
    log.note(SecurityEvent(kind="account.signed_up", subject=account.id))
    try:
        await unit.flush()
    except UniqueConflict as conflict:  # another has just signed up with it: looked at anew, it is taken
        raise SerializationConflict from conflict


async def verify_address(
    given: Code,
    codes: CodeBook,
    accounts: Repository[Account],
    clock: Clock,
    events: Events,
    log: SecurityLog,
) -> None:
    """Confirm that an address is the account's, with the code of its letter."""
    code = await codes.take(given.code, "verify")
    account = await accounts.get(code.account_id)
    await accounts.update(account, verified_at=clock.now())
    events.emit(AccountVerified(account_id=account.id, email=account.email))
    log.note(SecurityEvent(kind="account.verified", subject=account.id))


async def send_again(asked: Address, brakes: Brakes, events: Events) -> None:
    """Have the letter sent again that confirms an address. The answer is the same for one without an account."""
    email = asked.email.lower()
    if await brakes.letter(email):
        events.emit(CodeAsked(email=email, purpose="verify"))
