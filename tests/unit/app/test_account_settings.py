"""The settings of passwords and letters, and what a service with accounts is not started without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accounts_service import NotedSessions, shop

from mainstay import Letter, Mailer, Service
from mainstay.adapters.argon.hasher import ArgonHasher
from mainstay.adapters.mail.console import ConsoleMailer
from mainstay.adapters.mail.memory import MemoryMailer
from mainstay.adapters.mail.smtp import SmtpMailer
from mainstay.app.assembly import Application, assemble
from mainstay.app.checking import inspect
from mainstay.app.settings import Settings, SettingsRefused, examine, load
from mainstay.ports.observer import Observation, Observer
from mainstay.ports.passwords import PasswordHasher, PasswordRules

SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
PRODUCTION = {
    "MAINSTAY_PROFILE": "production",
    "MAINSTAY_DATABASE_URL": "sqlite:////var/lib/shop.sqlite",
    "MAINSTAY_SEALING_SECRET": SECRET,
    "MAINSTAY_AUTH_KEY": SECRET[::-1],
    "MAINSTAY_AUTH_ISSUER": "shop",
    "MAINSTAY_AUTH_AUDIENCE": "shop",
}
MAIL = {"MAINSTAY_MAIL_HOST": "smtp.shop.example", "MAINSTAY_MAIL_SENDER": "Shop <accounts@shop.example>"}


class Deaf(Observer):
    def observe(self, observation: Observation) -> None:
        return None


class Pigeons(Mailer):
    async def send(self, letter: Letter) -> None:
        return None


def settings(folder: Path, toml: str = "", **environ: str) -> Settings:
    (folder / "mainstay.toml").write_text(toml)
    return load(folder, environ={"MAINSTAY_PROFILE": "test", **environ})


def assembled(given: Settings, service: Service | None = None) -> Application:
    return assemble(service or shop(NotedSessions()), given, observer=Deaf())


def faults(folder: Path, toml: str) -> dict[str, str]:
    (folder / "mainstay.toml").write_text(toml)
    found = examine(folder, environ={"MAINSTAY_PROFILE": "test"})[1]
    return {fault.key: str(fault) for fault in found}


async def given(application: Application, port: Any) -> Any:
    """Start an application, and return what it gives use cases for a port."""
    await application.start(deliver=False)
    try:
        resolver = application.bound.providers.resolver(port)
        assert resolver.make is not None
        return resolver.make(None)  # type: ignore[arg-type]  # it is made for the service, and looks at no call
    finally:
        await application.stop()


async def test_passwords_are_hashed_as_the_settings_say(tmp_path: Path) -> None:
    toml = "passwords.memory_kib = 8192\npasswords.iterations = 3\npasswords.threads = 2\npasswords.waiting = 5"
    hasher = await given(assembled(settings(tmp_path, toml)), PasswordHasher)
    assert isinstance(hasher, ArgonHasher)
    assert (hasher._argon.memory_cost, hasher._argon.time_cost, hasher._room) == (8192, 3, 7)
    assert hasher._pool._shutdown  # it is closed with the service


async def test_passwords_are_chosen_as_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("sesame sesame open\n", encoding="ascii")
    toml = 'passwords.least = 12\npasswords.list_file = "list.txt"'
    rules = await given(assembled(settings(tmp_path, toml)), PasswordRules)
    assert "at least 12" in await rules.refusal("short pass")
    assert await rules.refusal("sesame sesame open") is not None
    assert await rules.refusal("a wet lantern hums") is None
    assert "service's name" in await rules.refusal("corner shop 1")


async def test_a_list_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    application = assembled(settings(tmp_path, 'passwords.list_file = "missing.txt"'))
    with pytest.raises(SettingsRefused) as caught:
        await application.start(deliver=False)
    assert caught.value.faults[0].key == "passwords.list_file"


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, ConsoleMailer),
        ({"MAINSTAY_MAIL_ENGINE": "memory"}, MemoryMailer),
        (MAIL, SmtpMailer),
        ({**MAIL, "MAINSTAY_MAIL_ENGINE": "console"}, ConsoleMailer),
    ],
    ids=["none", "memory", "smtp", "console"],
)
async def test_letters_go_as_the_settings_say(tmp_path: Path, environ: dict[str, str], kind: type[Mailer]) -> None:
    assert isinstance(await given(assembled(settings(tmp_path, **environ)), Mailer), kind)


def test_production_with_accounts_needs_a_mail_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused) as caught:
        assembled(settings(tmp_path, **PRODUCTION))
    assert [fault.key for fault in caught.value.faults] == ["mail.host"]
    assembled(settings(tmp_path, **PRODUCTION, **MAIL))


def test_production_without_accounts_needs_none(tmp_path: Path) -> None:
    assembled(settings(tmp_path, **PRODUCTION), Service("plain", modules=[]))


def test_production_takes_a_mailer_of_the_teams_own(tmp_path: Path) -> None:
    service = shop(NotedSessions())
    service.provide(Mailer, Pigeons)
    assembled(settings(tmp_path, **PRODUCTION), service)


async def test_what_the_team_provides_is_taken(tmp_path: Path) -> None:
    service = shop(NotedSessions())
    service.provide(Mailer, Pigeons)
    assert isinstance(await given(assembled(settings(tmp_path), service), Mailer), Pigeons)
    assert len(service.provisions) == 2  # the service itself is as it was


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('mail.engine = "smtp"', "mail.host"),
        ('mail.host = "h"', "mail.sender"),
        ('mail.host = "h"\nmail.sender = "nobody"', "mail.sender"),
        ('mail.host = "h"\nmail.sender = "a@b.example"\nmail.user = "u"\nmail.security = "none"', "mail.security"),
        ('mail.engine = "pigeon"', "mail.engine"),
        ("mail.port = 0", "mail.port"),
        ("passwords.memory_kib = 1024", "passwords.memory_kib"),
        ("passwords.iterations = 1", "passwords.iterations"),
        ("passwords.least = 7", "passwords.least"),
        ("passwords.most = 63", "passwords.most"),
        ("passwords.threads = 0", "passwords.threads"),
        ("passwords.peppers = 1", "passwords.peppers"),
    ],
)
def test_what_is_wrong_is_told_by_its_name(tmp_path: Path, toml: str, key: str) -> None:
    assert key in faults(tmp_path, toml)


def test_one_pass_over_much_memory_is_as_good(tmp_path: Path) -> None:
    assert faults(tmp_path, "passwords.iterations = 1\npasswords.memory_kib = 47104") == {}


def test_checking_a_service_needs_no_setting() -> None:
    assert inspect(shop(NotedSessions())).faults == []
