"""What a team may say of OAuth, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import AuthorizationServer, Provider

GOOD: dict[str, Any] = {"issuer": "https://id.example", "client_id": "shop", "redirect": ["https://shop.example/in"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": {"a b": "Two"}},
        {"scopes": {"": "None"}},
        {"scopes": {'"': "A quote"}},
        {"scopes": {"a": ""}},
        {"code_seconds": 5},
        {"code_seconds": 601},
        {"refresh_seconds": 59},
        {"grant_seconds": 14 * 86_400 - 1},
    ],
)
def test_a_server_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="AuthorizationServer"):
        AuthorizationServer(**changes)


def test_a_server_has_the_scopes_of_openid_connect_and_its_own() -> None:
    found = AuthorizationServer(scopes={"orders:read": "See your orders"}).all_scopes()
    assert list(found) == ["openid", "email", "profile", "offline_access", "orders:read"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Google", {}),
        ("", {}),
        ("a/b", {}),
        ("google", {"client_id": ""}),
        ("google", {"redirect": []}),
        ("google", {"scopes": ["email"]}),
        ("google", {"scopes": ["openid", "a b"]}),
    ],
)
def test_a_provider_that_makes_no_sense_is_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Provider"):
        Provider(name, **{**GOOD, **changes})
