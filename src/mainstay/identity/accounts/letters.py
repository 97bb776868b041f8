"""Letters to the owners of accounts: sent behind the commit by a consumer, so that one that is lost is tried again.

What a letter carries is sealed on its way through the outbox: a code stands nowhere in the database as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from mainstay.identity.accounts.codes import LETTER_CONTEXT, CodeBook
from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.events import CodeAsked, LetterDue
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.rules import AccountRules
from mainstay.model.problem import Gone
from mainstay.ports.mail import Letter, Mailer
from mainstay.ports.repository import Repository
from mainstay.ports.sealer import Sealer

LetterKind = Literal["verify", "reset", "invited", "taken", "password_changed", "second_factor_changed"]


async def make_code(asked: CodeAsked, accounts: Repository[Account], codes: CodeBook) -> None:
    """Make the code that somebody asked for, where there is an account that may have it.

    That nobody waits for this is what makes the answer the same for an address without an account.
    """
    account = await found(accounts.one(email=asked.email))
    if account is None or (asked.purpose == "verify" and account.verified_at is not None):
        return
    await codes.send(account, "verify" if asked.purpose == "verify" else "reset")


async def send_letter(due: LetterDue, mailer: Mailer, sealer: Sealer, rules: AccountRules) -> None:
    """Send a letter. Raises ``Gone`` where what it carries was sealed with a secret that is no more."""
    code = ""
    if due.sealed:
        opened = sealer.open(due.sealed, LETTER_CONTEXT)
        if opened is None:
            raise Gone("the letter was sealed with a secret that this service does not have any more")
        code = opened.decode()
    await mailer.send(written(due.to, due.kind, code, rules))


class _Words(NamedTuple):
    subject: str
    text: str


def written(to: str, kind: str, code: str, rules: AccountRules) -> Letter:
    """Return a letter. Nothing in it is of a stranger's writing: names of accounts are not."""
    words = _WORDS[kind]
    link = rules.verify_link if kind == "verify" else rules.reset_link
    told = link.replace("{code}", code) if link else code
    hours = _hours(rules.verify_seconds if kind == "verify" else rules.reset_seconds)
    service = " ".join(rules.service.split())
    text = words.text.format(service=service, code=told, time=hours)
    return Letter(to=to, subject=words.subject.format(service=service), text=text)


def _hours(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds // 60
    if hours:
        return "an hour" if hours == 1 else f"{hours} hours"
    return f"{minutes} minutes" if minutes > 1 else "a minute"


_WORDS: Mapping[str, _Words] = MappingProxyType(
    {
        "verify": _Words(
            "Confirm your address for {service}",
            "Somebody, most likely you, made an account at {service} with this address.\n\n"
            "To confirm that it is yours:\n\n    {code}\n\n"
            "This holds for {time}, and once. If it was not you, do nothing: the account cannot be used.\n",
        ),
        "reset": _Words(
            "Set a new password for {service}",
            "Somebody, most likely you, asked to set a new password for your account at {service}.\n\n"
            "To do so:\n\n    {code}\n\n"
            "This holds for {time}, and once. If it was not you, do nothing: your password stays as it is.\n",
        ),
        "invited": _Words(
            "Your account at {service}",
            "An account was made for you at {service}.\n\nTo set its password:\n\n    {code}\n\n"
            "This holds for {time}, and once. After that, ask for another letter as for a forgotten password.\n",
        ),
        "taken": _Words(
            "You have an account at {service}",
            "Somebody, maybe you, tried to make an account at {service} with this address, which has one already.\n\n"
            "If it was you: log in, or ask to set a new password. If it was not, do nothing.\n",
        ),
        "password_changed": _Words(
            "Your password at {service} was changed",
            "The password of your account at {service} was changed, and its other sessions were ended.\n\n"
            "If it was not you, ask to set a new password now, and tell who runs {service}.\n",
        ),
        "second_factor_changed": _Words(
            "The second factor of your account at {service} was changed",
            "The second factor of your account at {service} was added, removed, or given new recovery codes.\n\n"
            "If it was not you, set a new password now, and tell who runs {service}.\n",
        ),
    }
)
