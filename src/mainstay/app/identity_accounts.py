"""What the accounts of a service stand on: hashing, lists of passwords, letters, from the settings."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from mainstay.app.identity import identity_of
from mainstay.app.registry import find
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.app.settings.accounts import production_mail
from mainstay.model.operation import source_of
from mainstay.model.service import Lifetime, Provision, Service
from mainstay.ports.clock import Clock
from mainstay.ports.mail import Mailer
from mainstay.ports.passwords import PasswordHasher, PasswordRules

if TYPE_CHECKING:
    from mainstay.identity.declaration import Identity

Factory = Callable[..., Any]


def with_accounts(service: Service, settings: Settings, clock: Clock) -> Service:
    """Return the service with what its accounts need, where it has them. What the team itself provides stays.

    Raises ``SettingsRefused`` where the settings have not what production needs for it.
    """
    identity = identity_of(service)
    if identity is None:
        return service
    make = _Parts(settings, service.title, clock)
    parts: dict[Any, tuple[Factory, bool]] = {
        PasswordHasher: (make.hasher, False),
        PasswordRules: (make.chosen, False),
        Mailer: (make.mailer, True),
    }
    if Mailer not in _provided(service):
        faults = list(production_mail(settings)) if settings.is_production else []
        if faults:
            raise SettingsRefused(faults, settings.profile)
    return completed(service, identity, parts)


def completed(service: Service, identity: Identity, parts: dict[Any, tuple[Factory, bool]]) -> Service:
    """Return the service with these parts by type, each as (factory, whether it reaches outside), and our own."""
    from mainstay.identity.accounts.rules import AccountRules

    rules = identity.account_rules(service.title)
    made = [
        _provision(AccountRules, lambda: rules, "service"),
        *(_provision(part, part, "call") for part in identity.parts()),
        *(_provision(type_, factory, "service", outside=outside) for type_, (factory, outside) in parts.items()),
    ]
    given = _provided(service)
    changed = copy.copy(service)
    changed.provisions = [*service.provisions, *(each for each in made if each.type not in given)]
    return changed


def _provided(service: Service) -> set[Any]:
    return {provision.type for provision in service.provisions}


def _provision(type_: Any, factory: Factory, scope: Lifetime, *, outside: bool = False) -> Provision:
    return Provision(type=type_, factory=factory, scope=scope, outside=outside, source=source_of(_provision))


class _Parts:
    """Makes what accounts stand on, when the service starts."""

    def __init__(self, settings: Settings, service: str, clock: Clock) -> None:
        self._settings = settings
        self._service = service
        self._clock = clock

    async def hasher(self) -> AsyncIterator[PasswordHasher]:
        from mainstay.adapters.argon.hasher import ArgonHasher

        chosen = self._settings.passwords
        made = ArgonHasher(
            memory=chosen.memory_kib,
            iterations=chosen.iterations,
            lanes=chosen.lanes,
            threads=chosen.threads,
            waiting=chosen.waiting,
        )
        try:
            yield made
        finally:
            made.close()

    def chosen(self) -> PasswordRules:
        from mainstay.adapters.argon.rules import ListedPasswords, ListUnusable

        settings, chosen = self._settings, self._settings.passwords
        file = settings.root / chosen.list_file if chosen.list_file else None
        try:
            return ListedPasswords(least=chosen.least, most=chosen.most, service=self._service, file=file)
        except ListUnusable as error:
            fault = SettingFault("passwords.list_file", settings.source("passwords.list_file"), str(error))
            raise SettingsRefused([fault], settings.profile) from error

    def mailer(self) -> Mailer:
        made: Mailer = find("mailer", self._settings.mail.chosen)(self._settings, self._clock)
        return made


def console_mailer(settings: Settings, clock: Clock) -> Mailer:  # noqa: ARG001 - the form of a factory
    """Letters to the terminal."""
    from mainstay.adapters.mail.console import ConsoleMailer

    return ConsoleMailer()


def memory_mailer(settings: Settings, clock: Clock) -> Mailer:  # noqa: ARG001 - the form of a factory
    """Letters to nowhere but memory."""
    from mainstay.adapters.mail.memory import MemoryMailer

    return MemoryMailer()


def smtp_mailer(settings: Settings, clock: Clock) -> Mailer:
    """Letters by SMTP."""
    from mainstay.adapters.mail.smtp import SmtpMailer, SmtpOptions

    mail = settings.mail
    options = SmtpOptions(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        security=mail.security,
        user=mail.user,
        password=mail.password,
        seconds=mail.seconds,
    )
    return SmtpMailer(options, clock)
