"""What sessions are made of: rules from the declaration and the settings, and the cookie that fits the profile."""

from __future__ import annotations

import pytest
from logged_in import Accounts, make_service

from mainstay.app.identity_tokens import rules_of, session_cookie
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.app.settings.model import Http, Sessions, Tls
from mainstay.app.settings.rules import check


def test_rules_are_those_of_the_declaration_and_the_settings() -> None:
    settings = Settings(profile="test")
    rules = rules_of(Accounts(access_seconds=60, api_key_scopes=["a"]), make_service(), settings)
    assert (rules.issuer, rules.audience, rules.access, rules.key_scopes) == ("urn:service:shop", "shop", 60, ("a",))
    named = Settings(profile="test", sessions=Sessions(issuer="https://shop.example", audience="api", grace_seconds=0))
    rules = rules_of(Accounts(), make_service(), named)
    assert (rules.issuer, rules.audience, rules.grace) == ("https://shop.example", "api", 0)


def test_what_was_raised_is_known_for_longer_than_any_token_holds() -> None:
    rules = rules_of(Accounts(access_seconds=86_400), make_service(), Settings(profile="test"))
    assert rules.retention.total_seconds() > 86_400
    assert rules.life.total_seconds() > 86_400


@pytest.mark.parametrize("name", ["access_seconds", "refresh_seconds", "session_seconds", "idle_seconds"])
@pytest.mark.parametrize("seconds", [0, -1, 10**10])
def test_a_time_that_makes_no_sense_is_refused_by_its_name(name: str, seconds: int) -> None:
    with pytest.raises(Refusal, match=name):
        rules_of(Accounts(**{name: seconds}), make_service(), Settings(profile="test"))


@pytest.mark.parametrize(
    ("profile", "chosen", "tls", "name"),
    [
        ("production", "auto", "", "__Host-session"),
        ("production", "secure", "", "__Host-session"),
        ("development", "auto", "", "session"),
        ("development", "auto", "cert.pem", "__Host-session"),
        ("development", "secure", "", "__Host-session"),
        ("test", "plain", "cert.pem", "session"),
    ],
)
def test_the_cookie_is_for_tls_wherever_that_can_be(profile: str, chosen: str, tls: str, name: str) -> None:
    settings = Settings(
        profile=profile,  # type: ignore[arg-type]  # one of three
        sessions=Sessions(cookie=chosen, same_site="strict"),  # type: ignore[arg-type]  # one of three
        http=Http(tls=Tls(certificate=tls)),
    )
    cookie = session_cookie(settings)
    assert (cookie.name, cookie.secure, cookie.same_site) == (name, name != "session", "Strict")


def test_production_keeps_no_session_in_the_clear() -> None:
    faults = check(Settings(profile="production", sessions=Sessions(cookie="plain")))
    assert "sessions.cookie" in {fault.key for fault in faults}
