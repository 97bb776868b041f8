"""What is said of identity: refused where it cannot be meant, and read by the use cases of accounts."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import Identity


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"path": "auth"}, "path"),
        ({"path": "/auth/"}, "path"),
        ({"path": ""}, "path"),
        ({"administrator": ""}, "administrator"),
        ({"verify_link": "https://shop.example/verify"}, "verify_link"),
        ({"verify_link": "https://shop.example/{code}\nBcc: x"}, "verify_link"),
        ({"reset_link": "https://shop.example/a b/{code}"}, "reset_link"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_by_its_name(said: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"Identity\\({name}"):
        Identity(**said)


def test_accounts_are_told_what_was_said() -> None:
    said = Identity(
        verify_email=False, default_roles=["customer"], second_factor="required", reset_link="https://x/{code}"
    )
    rules = said.account_rules("Corner shop")
    assert (rules.service, rules.verify_email, rules.default_roles) == ("Corner shop", False, ("customer",))
    assert (rules.second_factor, rules.reset_link, rules.verify_link) == ("required", "https://x/{code}", "")


def test_each_service_gets_modules_of_its_own() -> None:
    said = Identity(path="/people", sign_up="closed")
    first, second = said.modules(), said.modules()
    assert first[0] is not second[0]
    paths = {operation.path for operation in first[0].operations if operation.path}
    assert all(path.startswith("/people/") for path in paths)
    assert "/people/sign-up" not in paths
