"""What the contract says that a caller has to bring: a token, a client certificate, either, or both."""

from __future__ import annotations

import json

import pytest
from contracts import contract_bytes, operations
from openapi_spec_validator import OpenAPIV31SpecValidator

from mainstay import Module, Policy, Service, anyone, authenticated, certificate, owner, role
from mainstay.deliver.openapi.needs import Need, needs_of

TILL = certificate("till")
TOKEN: Need = {"bearer": []}
TLS: Need = {"mutualTLS": []}


@pytest.mark.parametrize(
    ("policy", "needs"),
    [
        (anyone, [{}, TOKEN]),
        (authenticated, [TOKEN]),
        (role("a") & ~role("b") | owner("id"), [TOKEN]),
        (TILL, [TLS]),
        (TILL & role("a"), [{**TLS, **TOKEN}]),
        (TILL | role("a"), [TOKEN, TLS]),
        ((TILL | role("a")) & role("b"), [TOKEN, {**TLS, **TOKEN}]),
        (TILL & anyone, [TLS, {**TLS, **TOKEN}]),
        (~TILL, [TOKEN]),
    ],
)
def test_alternatives_are_those_of_the_policy(policy: Policy, needs: list[Need]) -> None:
    assert needs_of(policy) == needs


def test_the_scheme_stands_in_the_contract() -> None:
    module = Module("tills")

    @module.query("GET /sold", allow=TILL)
    async def sold() -> int:
        """Tell how much was sold."""
        return 1

    document = json.loads(contract_bytes(Service("shop", modules=[module])))
    assert operations(document)["sold"]["security"] == [TLS]
    assert document["components"]["securitySchemes"]["mutualTLS"]["type"] == "mutualTLS"
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())
