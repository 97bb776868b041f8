"""The policy of client certificates: names compared whole, below a path, or one label before a host."""

from __future__ import annotations

from uuid import UUID

import pytest

from mainstay import Policy, Principal, authenticated, certificate, role, where
from mainstay.model.conditions import FALSE, TRUE, Compare
from mainstay.model.policy import prepare

BILLING = "spiffe://shop.example/billing"


def machine(name: str | None) -> Principal:
    return Principal(id=UUID(int=7), subject="till", certificate=name)


@pytest.mark.parametrize(
    ("policy", "fitting", "others"),
    [
        (certificate(BILLING), [BILLING], [f"{BILLING}/2", "spiffe://shop.example/", BILLING.upper(), None]),
        (
            certificate("spiffe://shop.example/tills/*"),
            ["spiffe://shop.example/tills/1", "spiffe://shop.example/tills/1/a"],
            ["spiffe://shop.example/tills/", "spiffe://shop.example/tills", "spiffe://shop.example.evil/tills/1", None],
        ),
        (
            certificate("*.shop.internal"),
            ["till.shop.internal"],
            ["a.till.shop.internal", "shop.internal", ".shop.internal", "tillshop.internal", "x.shop.internal.evil"],
        ),
        (certificate("O=Shop, CN=till", "other"), ["O=Shop, CN=till", "other"], ["O=Shop", "CN=till", ""]),
    ],
)
def test_a_name_is_compared_whole(policy: Policy, fitting: list[str], others: list[str | None]) -> None:
    assert [policy.reduce(machine(name)) for name in fitting] == [TRUE] * len(fitting)
    assert [policy.reduce(machine(name)) for name in others] == [FALSE] * len(others)
    assert not policy.looks_at_row


def test_it_is_combined_as_any_other_and_jobs_pass_it() -> None:
    both = certificate(BILLING) & role("clerk")
    assert both.reduce(machine(BILLING)) is FALSE
    assert (certificate(BILLING) | role("clerk")).reduce(machine(BILLING)) is TRUE
    assert (authenticated & ~certificate(BILLING)).reduce(machine(None)) is TRUE
    assert certificate(BILLING).reduce(Principal.system) is TRUE
    assert certificate(BILLING).reduce(Principal.anonymous) is FALSE
    assert repr(certificate("b", "a")) == "certificate('a', 'b')"


@pytest.mark.parametrize(
    "name", ["*", "/*", "*.", "a*b", "spiffe://*/x", "*.*.example", "shop.example/*", "", "spiffe://a/*/b"]
)
def test_a_star_stands_in_one_place_only(name: str) -> None:
    with pytest.raises(ValueError, match="certificate: "):
        certificate(name)


def test_nobody_named_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="name the machines"):
        certificate()


def test_rows_may_be_compared_with_it() -> None:
    policy = prepare(where(lambda row, who: row.device == who.certificate))
    assert policy.reduce(machine("till-1")) == Compare("device", "eq", "till-1")
    assert policy.reduce(machine(None)) is FALSE
