"""The contract of a service with accounts: its doors, how a caller is known, and what it may be refused with."""

from __future__ import annotations

from typing import Any

import pytest
from logged_in import make_service

from mainstay import Module, Service, anyone
from mainstay.testing import Client


@pytest.fixture
async def contract() -> dict[str, Any]:
    async with Client(make_service()) as client:
        told: dict[str, Any] = (await client.get("/openapi.json")).json
    return told


def codes(contract: dict[str, Any], path: str, method: str, status: str) -> set[str]:
    answer = contract["paths"][path][method]["responses"][status]
    schema = answer["content"]["application/problem+json"]["schema"]
    return set(schema["allOf"][1]["properties"]["code"]["enum"])


async def test_its_doors_stand_in_it(contract: dict[str, Any]) -> None:
    doors = {(method, path) for path, item in contract["paths"].items() for method in item if path.startswith("/auth/")}
    assert doors >= {
        ("post", "/auth/refresh"),
        ("post", "/auth/log-out"),
        ("post", "/auth/log-out-everywhere"),
        ("get", "/auth/session"),
        ("get", "/auth/sessions"),
        ("delete", "/auth/sessions/{session_id}"),
        ("post", "/auth/api-keys"),
        ("get", "/auth/api-keys"),
        ("delete", "/auth/api-keys/{key_id}"),
    }


async def test_a_caller_is_known_by_a_token_or_a_cookie(contract: dict[str, Any]) -> None:
    assert contract["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "session": {"type": "apiKey", "in": "cookie", "name": "session"},
    }
    assert contract["paths"]["/me"]["get"]["security"] == [{"bearer": []}, {"session": []}]
    assert contract["paths"]["/auth/refresh"]["post"]["security"] == [{}, {"bearer": []}, {"session": []}]


async def test_what_it_may_be_refused_with_is_told(contract: dict[str, Any]) -> None:
    assert {"token_revoked", "api_key_refused"} <= codes(contract, "/me", "get", "401")
    assert "refresh_token_refused" in codes(contract, "/auth/refresh", "post", "401")
    assert "revocations_unknown" in codes(contract, "/me", "get", "503")
    assert "cross_site_refused" in codes(contract, "/notes", "post", "403")
    assert "cross_site_refused" in codes(contract, "/auth/refresh", "post", "403")
    assert "cross_site_refused" not in codes(contract, "/managed", "get", "403")
    assert {"scope_not_given", "role_not_held"} <= codes(contract, "/auth/api-keys", "post", "403")


async def test_no_secret_is_in_a_schema(contract: dict[str, Any]) -> None:
    shown = {name: set(schema.get("properties", ())) for name, schema in contract["components"]["schemas"].items()}
    assert shown.pop("Generator") == {"secret", "uri"}  # of a second factor, to its owner while it is set up
    for names in shown.values():
        assert not names & {"secret", "family", "previous", "salt", "private"}


async def test_nothing_of_it_is_in_the_contract_of_another_service() -> None:
    plain = Module("plain")

    @plain.command("POST /things", allow=anyone)
    async def make() -> str:
        return "made"

    async with Client(Service("plain", modules=[plain])) as client:
        text = (await client.get("/openapi.json")).body.decode()
    for word in ("token_revoked", "cross_site_refused", "revocations_unknown", "session"):
        assert word not in text
