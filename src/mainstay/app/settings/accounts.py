"""The rules of the settings that accounts need: how passwords are hashed, and how letters are sent."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parseaddr

from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings


def account_rules(settings: Settings) -> Iterator[SettingFault]:
    """Give what is wrong with the sections, whoever needs them."""
    mail, passwords = settings.mail, settings.passwords
    if mail.chosen == "smtp":
        if not mail.host:
            yield _fault(settings, "mail.host", "it is missing", "name the mail server")
        if "@" not in parseaddr(mail.sender)[1]:
            yield _fault(
                settings, "mail.sender", "it is no address", "for example Shop <accounts@shop.example>, of the service"
            )
        if mail.user and mail.security == "none":
            yield _fault(settings, "mail.security", "the password would go in clear text", 'use "starttls" or "tls"')
    if passwords.memory_kib < 8 * passwords.lanes:
        yield _fault(settings, "passwords.memory_kib", "it is less than 8 for each lane", "give it more")
    if passwords.iterations == 1 and passwords.memory_kib < 47_104:
        yield _fault(
            settings,
            "passwords.iterations",
            f"one pass over {passwords.memory_kib} KiB is quickly guessed",
            "use 2 or more, or 47104 KiB",
        )


def production_mail(settings: Settings) -> Iterator[SettingFault]:
    """Give what is wrong with letters in production, where accounts need them."""
    if settings.mail.chosen != "smtp":
        yield _fault(
            settings,
            "mail.host",
            "the accounts of this service need letters, and production sends them by SMTP",
            "set mail.host and mail.sender (MAINSTAY_MAIL_HOST, MAINSTAY_MAIL_SENDER), or provide a Mailer",
        )


def _fault(settings: Settings, key: str, problem: str, remedy: str) -> SettingFault:
    return SettingFault(key, settings.source(key), problem, remedy)
