"""The contract of a service with accounts: valid, with every problem of its doors, and no secret in an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from accounts_service import NotedSessions, shop
from contracts import operations
from openapi_spec_validator import OpenAPIV31SpecValidator

from mainstay.app.checking import inspect
from mainstay.app.documents import documents_of

_INPUTS = {"SignUp", "LogIn", "PasswordChange", "NewPassword", "NewAccount", "Confirmation", "Removal", "SetUp"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(documents_of(inspect(shop(NotedSessions())))["/openapi.json"].body)
    return made


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_passwords_go_in_and_never_out(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in sorted(_INPUTS):
        assert schemas[name]["properties"]["password"]["writeOnly"] is True
    shown = [schema for name, schema in schemas.items() if name not in _INPUTS]
    assert any("verified_at" in schema.get("properties", {}) for schema in shown)
    for schema in shown:
        assert "password" not in schema.get("properties", {})


def test_the_doors_say_what_they_refuse(document: dict[str, Any]) -> None:
    found = operations(document)
    for operation, code in (
        ("log_in", "log_in_refused"),
        ("log_in", "rate_limited"),
        ("log_in_second_step", "challenge_refused"),
        ("sign_up", "password_refused"),
        ("verify_address", "code_refused"),
        ("change_password", "password_wrong"),
        ("confirm_second_factor", "second_step_refused"),
        ("create_account", "address_taken"),
        ("grant_role", "role_present"),
    ):
        assert f'"{code}"' in json.dumps(found[operation]["responses"])


def test_records_and_accounts_are_listed_and_have_no_door_that_changes_them(document: dict[str, Any]) -> None:
    assert set(document["paths"]["/auth/security-events"]) == {"get"}
    assert "put" not in document["paths"]["/auth/accounts/{account_id}"]
